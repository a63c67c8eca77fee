// Package cloudhypervisor runs a machine with cloud-hypervisor, version 53 or later, which needs KVM. Options:
// cloud-hypervisor --help, and vmm/src/config.rs of cloud-hypervisor.
package cloudhypervisor

import (
	"fmt"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
	"vmsilo/vmm"
	"vmsilo/vmm/cloudhypervisor/socket"
)

// VMM is cloud-hypervisor. A GPU context of the cross-domain type is crosvm's own, and so are the proxies that go over one. Disks
// it opens by their paths, as the VM's own user: of one that is lent as a descriptor, /proc/self/fd/N, it opens the file anew,
// which is denied.
var VMM = vmm.VMM{
	Hypervisor: config.Hypervisor{Name: "cloud-hypervisor", Lacks: []config.Feature{config.GPU, config.OwnDisks}},
	Program:    program, Package: "cloud-hypervisor",
	Command: command, Sandbox: sandbox,
}

const program = "cloud-hypervisor"

// atConsole is the PCI device of the virtio console, which no other VMM has; nor has another one anything of a VM's there.
var atConsole = machine.PCI{Slot: 0x1f}

// command returns the command that runs m in the foreground, its console on standard output. There is one serial port, on
// which the guest logs; its shell is on a virtio console.
func command(m *machine.Machine) []string {
	api := m.Runtime("vmm", socket.Name)
	a := args{paths.Helper("vmsilo-cloud-hypervisor"), "--console=" + m.Runtime("vmm", "console.sock"), "--api=" + api}
	a.add("--await=" + m.VsockDevice())
	if m.Sound.Any() {
		a.add("--await=" + m.SoundDevice())
	}
	a.add("--console-as="+m.Name+"-guest", program)
	a.add("--api-socket", "path="+quote(api))
	// The guest's memory is shared with the vhost-user devices.
	memory := fmt.Sprintf("size=%d,shared=on", m.Memory)
	if m.HugePages {
		memory += fmt.Sprintf(",hugepages=on,hugepage_size=%d", config.HugePage)
	}
	a.add("--cpus", fmt.Sprintf("boot=%d", m.CPUs), "--memory", memory)
	if n := segments(m); n > 1 {
		a.add("--platform", fmt.Sprintf("num_pci_segments=%d", n))
	}
	a.add("--serial", "tty", "--console", "pty,"+pci(atConsole), "--pvpanic")
	a.add("--rng", "src=/dev/urandom,"+pci(machine.AtRNG))
	a.add("--disk", fmt.Sprintf("path=%s,image_type=raw,readonly=on,serial=vmsilo-root,%s", quote(m.Root), pci(machine.AtRoot)))
	if m.Balloon {
		a.add("--balloon", "size=0,free_page_reporting=on,deflate_on_oom=on,"+pci(machine.AtBalloon))
	}
	if m.Overlay.Type == "qcow2" {
		// No backing file, whatever its header says.
		a.add("--disk", fmt.Sprintf("path=%s,image_type=qcow2,backing_files=off,sparse=on,serial=vmsilo-overlay,%s",
			quote(m.EphemeralDisk()), pci(machine.AtOverlay)))
	}
	for _, s := range m.Shares {
		a.add("--fs", fmt.Sprintf("tag=%s,socket=%s,%s", quote(s.Tag), quote(m.ShareSocket(s.Tag)), pci(s.PCI)))
	}
	a.add("--generic-vhost-user", fmt.Sprintf("device_type=vsock,socket=%s,queue_sizes=[128,128,128],%s",
		quote(m.VsockDevice()), pci(machine.AtVsock)))
	if m.Sound.Any() {
		a.add("--generic-vhost-user", fmt.Sprintf("device_type=sound,socket=%s,queue_sizes=[64,64,64,64],%s",
			quote(m.SoundDevice()), pci(m.SoundPlace())))
	}
	for _, i := range m.Interfaces {
		net := fmt.Sprintf("tap=%s,mac=%s,%s", quote(i.TAP), i.MAC, pci(i.PCI))
		if i.Queues > 1 {
			// It counts both ways of each.
			net += fmt.Sprintf(",num_queues=%d", 2*i.Queues)
		}
		a.add("--net", net)
	}
	for n, address := range m.PCIDevices {
		a.add("--device", fmt.Sprintf("path=%s,%s", quote(machine.HostDevice(address)), pci(machine.HostDevicePlace(n))))
	}
	a.add("--kernel", m.Kernel, "--initramfs", m.Initrd, "--cmdline", m.KernelCommandLine("ttyS0"))
	return append(a, m.HypervisorArgs...)
}

// sandbox returns what cloud-hypervisor needs, which is nothing more.
func sandbox(*machine.Machine) [][2]string { return nil }

type args []string

func (a *args) add(words ...string) { *a = append(*a, words...) }

// pci returns a place as cloud-hypervisor writes it. Its devices have no functions: what is one elsewhere has the same number
// in another segment, which is a PCI bus of its own.
func pci(p machine.PCI) string {
	if p.Function == 0 {
		return fmt.Sprintf("pci_device_id=%d", p.Slot)
	}
	return fmt.Sprintf("pci_segment=%d,pci_device_id=%d", p.Function, p.Slot)
}

// segments returns how many there are.
func segments(m *machine.Machine) int {
	last := 0
	if m.Balloon {
		last = machine.AtBalloon.Function
	}
	if m.Sound.Any() {
		last = max(last, m.SoundPlace().Function)
	}
	for _, i := range m.Interfaces {
		last = max(last, i.PCI.Function)
	}
	for _, s := range m.Shares {
		last = max(last, s.PCI.Function)
	}
	for n := range m.PCIDevices {
		last = max(last, machine.HostDevicePlace(n).Function)
	}
	return last + 1
}

// quote makes value one value of cloud-hypervisor's options (its option_parser crate): in double quotes, where two of them
// are one.
func quote(value string) string {
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
