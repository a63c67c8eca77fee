// Package cloudhypervisor runs a machine with cloud-hypervisor, version 53 or later, which needs KVM. Options:
// cloud-hypervisor --help, and vmm/src/config.rs of cloud-hypervisor.
package cloudhypervisor

import (
	"fmt"
	"strings"

	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// PCI devices on bus 0. 0x00 is the board's, 0x04 and 0x07 to 0x0f the shares', 0x10 to 0x1e the interfaces'. The panic
// device takes the first that is free, which is 0x01.
const (
	slotRoot    = 0x02
	slotOverlay = 0x03
	slotVsock   = 0x05
	slotRNG     = 0x06
)

// Program is the VMM.
const Program = "cloud-hypervisor"

// Command returns the command that runs m in the foreground, its console on standard output. There is one serial port: the
// guest logs there, and has none for a shell.
func Command(m *machine.Machine) []string {
	a := args{paths.Helper("vmsilo-cloud-hypervisor"), "--await=" + m.VsockDevice(), "--console-as=" + m.Name + "-guest", Program}
	a.add("--api-socket", "path="+quote(m.Runtime("vmm", "cloud-hypervisor.sock")))
	// The guest's memory is shared with the vhost-user devices.
	a.add("--cpus", fmt.Sprintf("boot=%d", m.CPUs), "--memory", fmt.Sprintf("size=%d,shared=on", m.Memory))
	a.add("--serial", "tty", "--console", "off", "--pvpanic")
	a.add("--rng", fmt.Sprintf("src=/dev/urandom,pci_device_id=%d", slotRNG))
	a.add("--disk", fmt.Sprintf("path=%s,image_type=raw,readonly=on,serial=vmsilo-root,pci_device_id=%d", quote(m.Root), slotRoot))
	if m.Overlay.Type == "qcow2" {
		// No backing file, whatever its header says.
		a.add("--disk", fmt.Sprintf("path=%s,image_type=qcow2,backing_files=off,sparse=on,serial=vmsilo-overlay,pci_device_id=%d",
			quote(m.EphemeralDisk()), slotOverlay))
	}
	for _, s := range m.Shares {
		a.add("--fs", fmt.Sprintf("tag=%s,socket=%s,pci_device_id=%d", quote(s.Tag), quote(m.ShareSocket(s.Tag)), s.Slot))
	}
	a.add("--generic-vhost-user", fmt.Sprintf("device_type=vsock,socket=%s,queue_sizes=[128,128,128],pci_device_id=%d",
		quote(m.VsockDevice()), slotVsock))
	for _, i := range m.Interfaces {
		a.add("--net", fmt.Sprintf("tap=%s,mac=%s,pci_device_id=%d", quote(i.TAP), i.MAC, i.Slot))
	}
	a.add("--kernel", m.Kernel, "--initramfs", m.Initrd, "--cmdline", m.KernelCommandLine("ttyS0"))
	return append(a, m.HypervisorArgs...)
}

// Sandbox returns what cloud-hypervisor needs, which is nothing more.
func Sandbox(*machine.Machine) [][2]string { return nil }

type args []string

func (a *args) add(words ...string) { *a = append(*a, words...) }

// quote makes value one value of cloud-hypervisor's options (its option_parser crate): in double quotes, where two of them
// are one.
func quote(value string) string {
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
