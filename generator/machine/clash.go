package machine

import (
	"fmt"
	"slices"
	"strings"

	"vmsilo/generator/config"
)

// Clashes returns, by VM, the errors of VMs whose derived values meet: TAP names and MAC addresses.
// Each VM of a clash has an error that names the others.
func Clashes(machines []*Machine) map[string][]config.Error {
	type owner struct {
		m *Machine
		i Interface
	}
	taps, macs := map[string][]owner{}, map[string][]owner{}
	for _, m := range machines {
		for _, i := range m.Interfaces {
			taps[i.TAP] = append(taps[i.TAP], owner{m, i})
			macs[i.MAC] = append(macs[i.MAC], owner{m, i})
		}
	}
	clashes := map[string][]config.Error{}
	report := func(owners []owner, what, value, hint string, keys func(Interface) []string) {
		for _, o := range owners {
			var others []string
			for _, other := range owners {
				if other.m != o.m || other.i.Name != o.i.Name {
					others = append(others, other.m.Name+":"+other.i.Name)
				}
			}
			if others == nil {
				continue
			}
			slices.Sort(others)
			clashes[o.m.Name] = append(clashes[o.m.Name], config.Error{
				Position: o.m.At(keys(o.i)...),
				Message:  fmt.Sprintf("%s %s of interface %q is also that of %s", what, value, o.i.Name, strings.Join(others, ", ")),
				Hint:     hint,
			})
		}
	}
	for name, owners := range taps {
		report(owners, "TAP name", name, "TAP names are NAME-INDEX, cut to 15 bytes: rename one of the VMs",
			func(i Interface) []string { return []string{"network", "interfaces", i.Name} })
	}
	for mac, owners := range macs {
		report(owners, "MAC address", mac, `give one of them another "mac_address"`,
			func(i Interface) []string { return []string{"network", "interfaces", i.Name, "mac_address"} })
	}
	return clashes
}
