package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkIDs finds VMs without an id and VMs that share one; each refuses and names the others.
func (c *Config) checkIDs() {
	byID := map[int][]string{}
	for _, vm := range c.VMs {
		byID[vm.ID] = append(byID[vm.ID], vm.Name)
	}
	next := 3
	for byID[next] != nil {
		next++
	}
	for _, vm := range slices.Clone(c.VMs) {
		names := byID[vm.ID]
		switch {
		case vm.ID == 0:
			c.Refuse(vm.Name, Error{
				Position{vm.root.key.File, span{}},
				`"id" is missing`,
				fmt.Sprintf("the next free one is %d: write id = %d as the first line", next, next),
			})
		case len(names) > 1:
			others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == vm.Name })
			c.Refuse(vm.Name, Error{
				vm.At("id"),
				fmt.Sprintf("id %d is also that of %s", vm.ID, strings.Join(others, ", ")),
				fmt.Sprintf("the next free one is %d", next),
			})
		}
	}
}
