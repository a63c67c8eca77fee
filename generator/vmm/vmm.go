// Package vmm is the seam between a machine and the programs that can run it: one package below it per VMM.
package vmm

import (
	"vmsilo/generator/machine"
	"vmsilo/generator/vmm/crosvm"
	"vmsilo/generator/vmm/qemu"
)

// VMM turns a machine into the command that runs it.
type VMM struct {
	// Package is the distribution's package that holds the program, for messages.
	Package string
	// Command returns the program and its arguments.
	Command func(*machine.Machine) []string
}

// ByName holds every VMM by its name in the configuration.
var ByName = map[string]VMM{
	"crosvm": {Package: "crosvm", Command: crosvm.Command},
	"qemu":   {Package: "qemu-system-x86", Command: qemu.Command},
}
