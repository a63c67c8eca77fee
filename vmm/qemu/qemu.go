// Package qemu runs a machine with QEMU's q35 board. Options: qemu-system-x86_64(1).
// vmsilo-qemu adds -accel and -cpu when it starts.
package qemu

import (
	"encoding/json"
	"fmt"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/lending"
	"vmsilo/internal/paths"
	"vmsilo/vmm"
	"vmsilo/vmm/qemu/socket"
)

// VMM is QEMU. A GPU context of the cross-domain type is crosvm's own, and so are the proxies that go over one. QEMU 10.0 gives a
// sound device queues of 1024, of which vhost-device-sound 0.3 takes 64: it ends when the guest's driver begins, and QEMU aborts.
var VMM = vmm.VMM{
	Hypervisor: config.Hypervisor{Name: "qemu", Lacks: []config.Feature{config.GPU, config.Audio}},
	Program:    program, Package: "qemu-system-x86",
	Command: command, Sandbox: sandbox,
}

// program is QEMU for guests of this architecture.
const program = "qemu-system-x86_64"

// command returns the command that runs m in the foreground, its console on standard output. No path of a socket has a
// comma, which would end it.
func command(m *machine.Machine) []string {
	a := args{paths.Helper("vmsilo-qemu"), "--await=" + m.VsockDevice(), "--console-as=" + m.Name + "-guest"}
	a.add(program)
	a.add("-name", "guest="+m.Name)
	// Nothing that is not named below: no default devices, no configuration of the host's.
	a.add("-nodefaults", "-no-user-config", "-display", "none")
	a.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
	// The guest's memory is shared with the vhost-user devices. The board's own disks and buses would only be probed.
	a.add("-machine", "q35,memory-backend=mem,sata=off,smbus=off,usb=off,vmport=off")
	memory := fmt.Sprintf("memory-backend-memfd,id=mem,size=%d,share=on", m.Memory)
	if m.HugePages {
		memory += fmt.Sprintf(",hugetlb=on,hugetlbsize=%d", config.HugePage)
	}
	a.add("-object", memory)
	a.add("-m", fmt.Sprintf("%dB", m.Memory), "-smp", fmt.Sprint(m.CPUs))
	// A guest that reboots or panics ends QEMU, and vmsilo-qemu sees why. Through the device its kernel tells of a panic.
	a.add("-action", "reboot=shutdown,panic=shutdown")
	a.add("-device", "pvpanic-pci,addr="+at(machine.AtPanic, m))
	a.add("-qmp", "unix:"+m.Runtime("vmm", socket.Name)+",server=on,wait=off")
	a.console(m)
	a.disk("vmsilo-root", block{"driver": "raw", "read-only": true}, file(m.Root), at(machine.AtRoot, m))
	if m.Overlay.Type == "qcow2" {
		// No backing file, whatever its header says.
		overlay := block{"driver": "qcow2", "backing": nil, "discard": "unmap", "detect-zeroes": "unmap"}
		a.disk("vmsilo-overlay", overlay, file(m.EphemeralDisk()), fmt.Sprintf("%#x", machine.AtOverlay.Slot))
	}
	for n, d := range m.Disks {
		a.lent(n, d, at(machine.DiskPlace(n), m))
	}
	for _, s := range m.Shares {
		a.vhostUser("fs-"+s.Tag, m.ShareSocket(s.Tag), fmt.Sprintf("vhost-user-fs-pci,tag=%s,addr=%s", s.Tag, at(s.PCI, m)))
	}
	a.vhostUser("vsock", m.VsockDevice(), "vhost-user-vsock-pci,addr="+at(machine.AtVsock, m))
	a.add("-device", fmt.Sprintf("virtio-rng-pci,addr=%#x,multifunction=on", machine.AtRNG.Slot))
	if m.Balloon {
		a.add("-device", "virtio-balloon-pci,free-page-reporting=on,deflate-on-oom=on,addr="+at(machine.AtBalloon, m))
	}
	for _, i := range m.Interfaces {
		netdev := fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i.Index, i.TAP)
		device := fmt.Sprintf("virtio-net-pci,netdev=net%d,mac=%s,addr=%s,romfile=", i.Index, i.MAC, at(i.PCI, m))
		if i.Queues > 1 {
			netdev += fmt.Sprintf(",queues=%d", i.Queues)
			// An interrupt for each queue's two ways, one for control and one for configuration.
			device += fmt.Sprintf(",mq=on,vectors=%d", 2*i.Queues+2)
		}
		a.add("-netdev", netdev, "-device", device)
	}
	for n, address := range m.PCIDevices {
		a.hostDevice(n, address)
	}
	a.add("-kernel", m.Kernel, "-initrd", m.Initrd, "-append", m.KernelCommandLine("ttyS0"))
	return append(a, m.HypervisorArgs...)
}

// sandbox returns what QEMU needs: where it emulates the processor, it runs code that it has written, and where the kernel
// can carry packets between a TAP and the guest, it has it do so (vmsilo-qemu adds vhost=on).
func sandbox(m *machine.Machine) [][2]string {
	settings := [][2]string{{"MemoryDenyWriteExecute", "no"}}
	if len(m.Interfaces) > 0 {
		settings = append(settings, [2]string{"DeviceAllow", "/dev/vhost-net rw"}, [2]string{"BindPaths", "-/dev/vhost-net"})
	}
	return settings
}

type args []string

func (a *args) add(words ...string) { *a = append(*a, words...) }

// console puts the first serial port, on which the guest logs, on standard output and so into the journal,
// and the second, on which the guest has a shell, on a socket. One port cannot do both without a process between.
func (a *args) console(m *machine.Machine) {
	a.add("-chardev", "stdio,id=log,signal=off", "-serial", "chardev:log")
	a.add("-chardev", "socket,id=console,path="+m.Runtime("vmm", "console.sock")+",server=on,wait=off")
	a.add("-serial", "chardev:console")
}

// block is a BlockdevOptions of QEMU's qapi/block-core.json.
type block map[string]any

// file is a node for a regular file.
func file(path string) block { return block{"driver": "file", "filename": path} }

// at returns a place as QEMU has addresses, for a device of m's. Function 0 of a PCI device says whether there are others.
func at(p machine.PCI, m *machine.Machine) string {
	if p.Function == 0 && m.Shared(p.Slot) {
		return fmt.Sprintf("%#x,multifunction=on", p.Slot)
	}
	if p.Function == 0 {
		return fmt.Sprintf("%#x", p.Slot)
	}
	return fmt.Sprintf("%#x.%d", p.Slot, p.Function)
}

// lent adds the nth of the disks that are borrowed, whose descriptor is that of lending.First and n.
func (a *args) lent(n int, d config.Disk, place string) {
	a.add("-add-fd", fmt.Sprintf("fd=%d,set=%d", lending.First+n, n))
	node := file(fmt.Sprintf("/dev/fdset/%d", n))
	if strings.HasPrefix(d.Path, "/dev/") {
		node["driver"] = "host_device"
	}
	b := block{"driver": d.Format, "read-only": d.ReadOnly, "discard": "ignore"}
	if d.Discard {
		b["discard"] = "unmap"
	}
	if d.Format == "qcow2" {
		// No backing file, whatever its header says.
		b["backing"] = nil
	}
	a.disk("vmsilo-"+d.Name, b, node, place)
}

// hostDevice adds the nth of the host's devices, behind a bridge of its own at its place: drivers look there for what a
// device of PCI Express can do.
func (a *args) hostDevice(n int, address string) {
	place := machine.HostDevicePlace(n)
	a.add("-device", fmt.Sprintf("pcie-root-port,id=port%d,chassis=%d,addr=%#x.%d", n, n+1, place.Slot, place.Function))
	a.add("-device", fmt.Sprintf("vfio-pci,host=%s,bus=port%d", address, n))
}

// disk adds a virtio disk whose serial is id. The format is always given, never probed.
func (a *args) disk(id string, b, node block, address string) {
	b["node-name"], b["file"] = id, node
	// Maps of texts and truths, in the order of their keys.
	options, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	a.add("-blockdev", string(options))
	a.add("-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s,addr=%s", id, id, address))
}

func (a *args) vhostUser(id, socket, device string) {
	a.add("-chardev", fmt.Sprintf("socket,id=%s,path=%s", id, socket))
	a.add("-device", device+",chardev="+id)
}
