// Package vmm is the seam between a machine and the programs that can run it. There is a folder below it per VMM, with all that
// is particular to this one: what it can and its arguments, its control socket, and the helper that runs it. The packages known
// and control, and meson.build, have a line for each.
package vmm

import (
	"fmt"
	"slices"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// VMM turns a machine into the command that runs it.
type VMM struct {
	// What it is called in the configuration, and which features it lacks.
	config.Hypervisor
	// Program is the program, to be found in PATH, and Package the distribution's package that holds it.
	Program, Package string
	// Command returns the helper that runs a machine, its options but for those of images, and the VMM with its arguments.
	Command func(*machine.Machine) []string
	// Sandbox returns settings of [Service], names and values, that allow what the VMM needs for a machine and
	// units/vmsilo@.service does not.
	Sandbox func(*machine.Machine) [][2]string
	// AsksTag tells that its guests learn the tag of a folder from virtiofsd, and not from the VMM. QEMU 7.1 to 8.0 crash when
	// virtiofsd offers it.
	AsksTag bool
	// OwnHugePages tells that it takes huge pages as the kernel has them, and none of those that the host has set apart.
	OwnHugePages bool
}

// ExecStart returns the command that runs m in the foreground, and its arguments. The helper that is the VMM's parent looks at
// the files that the VMM will open, as the user who will open them: crosvm finds out for itself what format a disk has, and
// a guest writes to its disks what it likes.
func (v *VMM) ExecStart(m *machine.Machine) []string {
	return slices.Insert(v.Command(m), 1, images(m)...)
}

// images returns the files that m's VMM will open, as internal/imagecheck has them.
func images(m *machine.Machine) []string {
	options := []string{"--file=kernel=" + m.Kernel, "--file=initrd=" + m.Initrd, "--disk=root,raw,ro=" + m.Root}
	if m.Overlay.Type == "qcow2" {
		options = append(options, fmt.Sprintf("--ephemeral=%d=%s", m.Overlay.Size, m.EphemeralDisk()))
	}
	if len(m.Disks) > 0 {
		options = append(options, "--lender="+m.Lender())
	}
	for _, d := range m.Disks {
		options = append(options, fmt.Sprintf("--lent=disk %s,%s,%s=%s", d.Name, d.Format, access(d), d.Path))
	}
	return options
}

// HugePages returns how many huge pages m's memory takes of those that the host has set apart.
func (v *VMM) HugePages(m *machine.Machine) int64 {
	if !m.HugePages || v.OwnHugePages {
		return 0
	}
	return m.Memory / config.HugePage
}

// Lend returns the command that opens m's disks, in the order in which its VMM has them.
func Lend(m *machine.Machine) []string {
	command := []string{paths.Helper("vmsilo-lend")}
	for _, d := range m.Disks {
		command = append(command, access(d)+"="+d.Path)
	}
	return command
}

func access(d config.Disk) string {
	if d.ReadOnly {
		return "ro"
	}
	return "rw"
}
