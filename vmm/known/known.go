// Package known holds the VMMs that vmsilo knows.
package known

import (
	"slices"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/vmm"
	"vmsilo/vmm/cloudhypervisor"
	"vmsilo/vmm/crosvm"
	"vmsilo/vmm/qemu"
)

var all = []*vmm.VMM{
	&crosvm.VMM,
	&cloudhypervisor.VMM,
	&qemu.VMM,
}

// VMM returns the VMM of a machine.
func VMM(m *machine.Machine) *vmm.VMM {
	return all[slices.IndexFunc(all, func(v *vmm.VMM) bool { return v.Name == m.Hypervisor })]
}

// Hypervisors returns what the configuration has to know of them, in the order in which messages name them.
func Hypervisors() (hypervisors []config.Hypervisor) {
	for _, v := range all {
		hypervisors = append(hypervisors, v.Hypervisor)
	}
	return hypervisors
}
