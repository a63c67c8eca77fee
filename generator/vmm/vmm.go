// Package vmm is the seam between a machine and the programs that can run it: one package below it per VMM.
package vmm

import (
	"vmsilo/generator/machine"
	"vmsilo/generator/vmm/cloudhypervisor"
	"vmsilo/generator/vmm/crosvm"
	"vmsilo/generator/vmm/qemu"
	"vmsilo/internal/paths"
)

// VMM turns a machine into the command that runs it.
type VMM struct {
	// Program is the program, to be found in PATH, and Package the distribution's package that holds it.
	Program, Package string
	// Command returns the command that runs a machine in the foreground, and its arguments.
	Command func(*machine.Machine) []string
	// Sandbox returns settings of [Service], names and values, that allow what the VMM needs for a machine and
	// units/vmsilo@.service does not.
	Sandbox func(*machine.Machine) [][2]string
}

// ByName holds every VMM by its name in the configuration.
var ByName = map[string]VMM{
	"crosvm": {Program: crosvm.Program, Package: "crosvm", Command: crosvm.Command, Sandbox: crosvm.Sandbox},
	"cloud-hypervisor": {
		Program: cloudhypervisor.Program, Package: "cloud-hypervisor",
		Command: cloudhypervisor.Command, Sandbox: cloudhypervisor.Sandbox,
	},
	"qemu": {Program: qemu.Program, Package: "qemu-system-x86", Command: qemu.Command, Sandbox: qemu.Sandbox},
}

// Check returns the command that looks at the files which m's VMM will open, as the user who will open them. crosvm finds
// out for itself what format a disk has, and a guest writes to its disks what it likes.
func Check(m *machine.Machine) []string {
	command := []string{
		paths.Helper("vmsilo-disk"), "check",
		"--file=kernel=" + m.Kernel, "--file=initrd=" + m.Initrd, "--disk=root,raw,ro=" + m.Root,
	}
	if m.Overlay.Type == "qcow2" {
		command = append(command, "--ephemeral="+m.EphemeralDisk())
	}
	return command
}
