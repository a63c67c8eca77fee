package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkIDs finds VMs without an id and VMs that share one; each refuses and names the others. A VM that is broken
// otherwise keeps its id: it may be running.
func (c *Config) checkIDs() {
	byID := map[int][]string{}
	for vm := range c.All() {
		byID[vm.ID] = append(byID[vm.ID], vm.Name)
	}
	next := 3
	free := func() int {
		for byID[next] != nil {
			next++
		}
		next++
		return next - 1
	}
	problems := map[string][]Error{}
	for vm := range c.All() {
		if e, wrong := checkID(vm, byID[vm.ID], free); wrong {
			problems[vm.Name] = []Error{e}
		}
	}
	c.refuseAll(problems)
}

// checkID checks one VM, of whose id all bearers are given; free returns another id that nobody has each time.
func checkID(vm *VM, bearers []string, free func() int) (e Error, wrong bool) {
	switch {
	case vm.origin == nil, vm.ID == 0 && vm.origin.root().table["id"] != nil: // said already
		return Error{}, false
	case vm.ID == 0:
		id := free()
		hint := fmt.Sprintf("the next free one is %d: write id = %d as the first line", id, id)
		return Error{Position{vm.origin.file, span{}}, `"id" is missing`, hint}, true
	case len(bearers) == 1:
		return Error{}, false
	}
	others := slices.DeleteFunc(slices.Clone(bearers), func(name string) bool { return name == vm.Name })
	slices.Sort(others)
	message := fmt.Sprintf("id %d is also that of %s", vm.ID, strings.Join(others, ", "))
	return Error{vm.At("id"), message, fmt.Sprintf("the next free one is %d", free())}, true
}
