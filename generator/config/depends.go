package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// needs returns the VMs that vm needs, and where each is written.
func (vm *VM) needs() (names []string, at func(n int) Position) {
	names = slices.Clone(vm.DependsOn)
	var links []string
	for _, i := range vm.Interfaces {
		if i.NetVM != "" {
			names, links = append(names, i.NetVM), append(links, i.Name)
		}
	}
	return names, func(n int) Position {
		if n < len(vm.DependsOn) {
			return vm.dependency(n)
		}
		return vm.At("network", "interfaces", links[n-len(vm.DependsOn)], "netvm")
	}
}

// checkDependencies finds VMs that need one that is not configured, or themselves through others. A VM that needs a
// broken one is not broken: its start fails with the other's, and says so.
func (c *Config) checkDependencies() {
	known := map[string][]string{}
	for vm := range c.All() {
		known[vm.Name], _ = vm.needs()
	}
	circular := circles(known)
	problems := map[string][]Error{}
	for vm := range c.All() {
		names, at := vm.needs()
		for n, name := range names {
			if _, ok := known[name]; !ok {
				hint := didYouMean(name, slices.Sorted(maps.Keys(known)))
				message := fmt.Sprintf("there is no VM %q to depend on", name)
				if n >= len(vm.DependsOn) {
					message = fmt.Sprintf("there is no VM %q to be the netvm", name)
				}
				problems[vm.Name] = append(problems[vm.Name], Error{at(n), message, hint})
			} else if way := wayTo(vm.Name, name, circular); way != nil {
				way = append([]string{vm.Name}, way...)
				message := fmt.Sprintf("VM %q would depend on itself: %s", vm.Name, strings.Join(way, " -> "))
				problems[vm.Name] = append(problems[vm.Name], Error{at(n), message, "take one of them out"})
			}
		}
	}
	c.refuseAll(problems)
}

// circles returns what is left of the dependencies when VMs that need none are taken out again and again: the circles,
// and the ways to them.
func circles(known map[string][]string) map[string][]string {
	users, open := map[string][]string{}, map[string]int{}
	var free []string
	for name, needs := range known {
		for _, need := range needs {
			if _, ok := known[need]; ok {
				users[need] = append(users[need], name)
				open[name]++
			}
		}
		if open[name] == 0 {
			free = append(free, name)
		}
	}
	left := maps.Clone(known)
	for ; len(free) > 0; free = free[1:] {
		delete(left, free[0])
		for _, user := range users[free[0]] {
			if open[user]--; open[user] == 0 {
				free = append(free, user)
			}
		}
	}
	return left
}

// wayTo returns the VMs from one to another along the dependencies, both included, or nil where there is no way.
func wayTo(target, from string, known map[string][]string) []string {
	if _, ok := known[from]; !ok {
		return nil
	}
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == target {
			way := []string{}
			for vm := target; vm != ""; vm = before[vm] {
				way = append(way, vm)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range known[queue[0]] {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}
