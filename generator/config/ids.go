package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkIDs finds VMs without an id and VMs that share one; each refuses and names the others. A VM that is broken
// otherwise keeps its id: it may be running.
func (c *Config) checkIDs() {
	byID := map[int][]string{}
	for _, vm := range c.VMs {
		byID[vm.ID] = append(byID[vm.ID], vm.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Broken)) {
		byID[c.Broken[name].VM.ID] = append(byID[c.Broken[name].VM.ID], name)
	}
	next := 3
	free := func() int {
		for byID[next] != nil {
			next++
		}
		next++
		return next - 1
	}
	for _, vm := range slices.Clone(c.VMs) {
		if e, wrong := checkID(vm, byID[vm.ID], free); wrong {
			c.refuse(vm, []Error{e})
		}
	}
}

// checkID checks one VM, of whose id all bearers are given; free returns another id that nobody has each time.
func checkID(vm VM, bearers []string, free func() int) (e Error, wrong bool) {
	if vm.ID == 0 {
		id := free()
		hint := fmt.Sprintf("the next free one is %d: write id = %d as the first line", id, id)
		return Error{Position{vm.root.key.File, span{}}, `"id" is missing`, hint}, true
	}
	if len(bearers) == 1 {
		return Error{}, false
	}
	others := slices.DeleteFunc(slices.Clone(bearers), func(name string) bool { return name == vm.Name })
	slices.Sort(others)
	message := fmt.Sprintf("id %d is also that of %s", vm.ID, strings.Join(others, ", "))
	return Error{vm.At("id"), message, fmt.Sprintf("the next free one is %d", free())}, true
}
