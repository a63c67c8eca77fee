package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkDependencies finds VMs that depend on one that is not configured, or on themselves through others. A VM that
// depends on a broken one is not broken: its start fails with the other's, and says so.
func (c *Config) checkDependencies() {
	known := map[string][]string{}
	for _, vm := range c.VMs {
		known[vm.Name] = vm.DependsOn
	}
	for name, broken := range c.Broken {
		known[name] = broken.VM.DependsOn
	}
	for _, vm := range slices.Clone(c.VMs) {
		var errs []Error
		for n, name := range vm.DependsOn {
			if e, wrong := checkDependency(vm, n, name, known); wrong {
				errs = append(errs, e)
			}
		}
		if errs != nil {
			c.refuse(vm, errs)
		}
	}
}

// checkDependency checks the nth dependency of a VM; known holds every VM's dependencies.
func checkDependency(vm VM, n int, name string, known map[string][]string) (e Error, wrong bool) {
	if _, ok := known[name]; !ok {
		hint := didYouMean(name, slices.Sorted(maps.Keys(known)))
		return Error{vm.dependency(n), fmt.Sprintf("there is no VM %q to depend on", name), hint}, true
	}
	if way := wayTo(vm.Name, name, known); way != nil {
		message := fmt.Sprintf("VM %q would depend on itself: %s", vm.Name, strings.Join(append([]string{vm.Name}, way...), " -> "))
		return Error{vm.dependency(n), message, "take one of them out"}, true
	}
	return Error{}, false
}

// wayTo returns the VMs from one to another along the dependencies, both included, or nil where there is no way.
func wayTo(target, from string, known map[string][]string) []string {
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
