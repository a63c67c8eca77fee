package graph

import (
	"net/netip"
	"strconv"
	"strings"

	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
	"vmsilo/vmm"
	"vmsilo/vmm/known"
)

// sound returns the files of a VM that can be built. One of them holds the fingerprint of all, with which the VM notes at its
// start what it was started with.
func sound(m *machine.Machine) []File {
	shared, files := services(m), own(m)
	shared.env("Service", "VM_CONFIG", sum(append(files, shared.file())))
	return append(files, shared.file())
}

// own returns the files of a VM that can be built, without what all of its services share.
func own(m *machine.Machine) []File {
	name := m.Name
	needs := []string{"vmsilo-user@" + name + ".service"}
	files := []File{sockets(m)}
	if m.Overlay.Type == "qcow2" {
		needs = append(needs, "vmsilo-disk@"+name+".service")
	}
	for _, i := range m.Interfaces {
		unit := "vmsilo-netdev@" + name + ":" + i.Name + ".service"
		needs = append(needs, unit)
		files = append(files, netdev(m, i, unit))
	}
	if len(m.Shares) > 0 {
		needs = append(needs, "vmsilo-home@"+name+".service")
		files = append(files, homes(m)...)
	}
	for _, s := range m.Shares {
		unit := "vmsilo-share@" + name + ":" + s.Tag
		needs = append(needs, unit+".socket")
		files = append(files, shareSocket(m, s, unit+".socket"), shareService(m, s, unit+".service"))
	}
	if len(m.PCIDevices) > 0 {
		needs = append(needs, "vmsilo-pci@"+name+".service")
	}
	if len(m.Disks) > 0 {
		needs = append(needs, "vmsilo-lend@"+name+".socket")
		files = append(files, lend(m))
	}
	if m.HasWayland() {
		needs = append(needs, "vmsilo-proxy@"+name+".socket")
		files = append(files, proxy(m))
	}
	if m.UsesWaypipe() {
		needs = append(needs, "vmsilo-waypipe@"+name+".socket")
		files = append(files, waypipe(m))
	}
	needs = append(needs, "vmsilo-vsock@"+name+".service", "vmsilo-notify@"+name+".socket")
	if m.Sound.Any() {
		needs = append(needs, "vmsilo-sound@"+name+".service")
		files = append(files, pipewire(m))
	}
	for _, other := range m.DependsOn {
		needs = append(needs, vmUnit(other))
	}
	netvms := m.NetVMs()
	for _, netvm := range netvms {
		unit := "vmsilo-netvm@" + name + ":" + netvm + ".service"
		needs = append(needs, unit)
		files = append(files, joins(m, netvm, unit))
	}
	if !m.IdleStop.Infinite {
		files = append(files, idle(m))
	}
	files = append(files, images(m)...)
	return append(files, vmService(m, strings.Join(needs, " "), netvms))
}

// vmService returns the drop-in of the VMM itself.
func vmService(m *machine.Machine, needs string, netvms []string) File {
	d := newDropin(vmUnit(m.Name))
	if m.Description != "" {
		d.set("Unit", "Description", line("VM "+m.Name+": "+m.Description))
	}
	d.set("Unit", "SourcePath", line(m.Path))
	d.set("Unit", "Requires", needs)
	d.set("Unit", "After", needs)
	for _, netvm := range netvms {
		// Not required: the VM outlives its netvm. Its interface looks whether there is one.
		d.set("Unit", "Wants", vmUnit(netvm))
		d.set("Unit", "After", vmUnit(netvm))
	}
	// A VM whose vsock device has died can neither say that it is up nor be asked to stop.
	d.set("Unit", "BindsTo", "vmsilo-vsock@"+m.Name+".service")
	d.set("Service", "Slice", sliceName(m.Name))
	d.set("Service", "TimeoutStartSec", m.StartTimeout.Text)
	d.set("Service", "TimeoutStopSec", m.StopTimeout.Text)
	d.env("Service", "STOP_TIMEOUT", stopTimeout(m))
	d.exec("Service", "ExecStart", known.VMM(m).ExecStart(m))
	sandbox(d, m)
	return d.file()
}

// stopTimeout returns the VM's time to stop as vmsilo-stop takes it.
func stopTimeout(m *machine.Machine) string {
	if m.StopTimeout.Infinite {
		return "infinity"
	}
	return m.StopTimeout.Duration.String()
}

// servicesOf begins the drop-in of all services of a VM whose names are vmsilo-PART@NAME, which systemd finds by the
// dash: "foo-bar-.service.d" of systemd.unit(5). vmsilo@NAME itself is not one of them, nor is what has NAME:X.
func servicesOf(name string) *dropin {
	d := newDropin("vmsilo-@" + name + ".service")
	// A failed part of a VM that is configured stays to be looked at; the template says otherwise.
	d.set("Unit", "CollectMode", "inactive")
	d.set("Service", "Slice", sliceName(name))
	return d
}

func services(m *machine.Machine) *dropin {
	d := servicesOf(m.Name)
	d.env("Service", "VM_UID", strconv.Itoa(m.UID))
	d.env("Service", "VM_CID", strconv.Itoa(m.CID()))
	d.env("Service", "VM_KERNEL", m.Kernel)
	d.env("Service", "VM_INITRD", m.Initrd)
	d.env("Service", "VM_ROOT", m.Root)
	if len(m.Shares) > 0 {
		d.env("Service", "VM_USER", m.VM.User)
		d.env("Service", "FOLDERS", folders(m))
	}
	if pages := known.VMM(m).HugePages(m); pages > 0 {
		d.env("Service", "VM_HUGE_PAGES", strconv.FormatInt(pages, 10))
	}
	if len(m.PCIDevices) > 0 {
		d.env("Service", "PCI_DEVICES", strings.Join(m.PCIDevices, " "))
	}
	d.env("Service", "PROGRAMS", strings.Join(programs(m), " "))
	return d
}

// programs returns the programs that m needs, each after the package that brings it.
func programs(m *machine.Machine) []string {
	v := known.VMM(m)
	all := []string{v.Package + "=" + v.Program, "vhost-device-vsock=vhost-device-vsock"}
	if m.Overlay.Type == "qcow2" {
		all = append(all, "qemu-utils=qemu-img")
	}
	if len(m.Shares) > 0 {
		all = append(all, "virtiofsd="+paths.Virtiofsd)
	}
	if m.Sound.Any() {
		all = append(all, "vhost-device-sound=vhost-device-sound")
	}
	if m.UsesWaypipe() {
		all = append(all, "waypipe=waypipe")
	}
	return all
}

// sockets returns the drop-in of all sockets of a VM that are vmsilo-PART@NAME.
func sockets(m *machine.Machine) File {
	d := newDropin("vmsilo-@" + m.Name + ".socket")
	d.set("Socket", "Slice", sliceName(m.Name))
	d.env("Socket", "VM_USER", m.VM.User)
	return d.file()
}

// belongs begins the drop-in of a unit whose instance is NAME:X, and ties it to its VM. Where the instance is NAME, the
// template does this.
func belongs(m *machine.Machine, unit string) *dropin {
	d := newDropin(unit)
	d.set("Unit", "PartOf", vmUnit(m.Name))
	d.set("Unit", "Before", vmUnit(m.Name))
	d.set("Unit", "After", "vmsilo-down@"+m.Name+".service vmsilo-user@"+m.Name+".service")
	d.set("Unit", "Requires", "vmsilo-user@"+m.Name+".service")
	return d
}

// lend returns the drop-in of what opens the VM's disks; where the VM has none, it lends none.
func lend(m *machine.Machine) File {
	// By the name of the drop-in of all services it would stand in that one's place: systemd.unit(5).
	d := newNamedDropin("vmsilo-lend@"+m.Name+".service", "50-vmsilo-disks.conf")
	d.exec("Service", "ExecStart", vmm.Lend(m))
	return d.file()
}

// joins returns the drop-in of what tells a VM's netvm that it has this client.
func joins(m *machine.Machine, netvm, unit string) File {
	d := belongs(m, unit)
	// Before it starts: it then looks who has asked for the netvm.
	d.set("Unit", "Before", "vmsilo-user@"+netvm+".service "+vmUnit(netvm))
	d.set("Service", "Slice", sliceName(m.Name))
	return d.file()
}

// pipewire returns the drop-in of what leads the sound device to the PipeWire of the VM's user.
func pipewire(m *machine.Machine) File {
	// As lend.
	d := newNamedDropin("vmsilo-pipewire@"+m.Name+".service", "50-vmsilo-sound.conf")
	d.set("Service", "User", m.VM.User)
	if m.Sound.Playback {
		d.env("Service", "PLAYBACK", "playback")
	}
	if m.Sound.Capture {
		d.env("Service", "CAPTURE", "capture")
	}
	return d.file()
}

func netdev(m *machine.Machine, i machine.Interface, unit string) File {
	d := belongs(m, unit)
	if i.NetVM != "" {
		// What it joins is there when the netvm is.
		d.set("Unit", "After", vmUnit(i.NetVM))
	}
	d.set("Service", "Slice", sliceName(m.Name))
	d.env("Service", "TAP", i.TAP)
	d.env("Service", "OWNER", strconv.Itoa(m.UID))
	d.env("Service", "MAC", i.MAC)
	unless := func(name, value, usual string) {
		if value != usual {
			d.env("Service", name, value)
		}
	}
	unless("HOST_ADDRESS", list(i.HostAddresses), "")
	unless("ADDRESSES", strings.Join(i.Addresses, ","), "")
	if i.NetVM == "" && !i.Router {
		unless("HOST_PORTS", strings.Join(m.HostPorts, ","), "")
	}
	unless("NAT", strconv.FormatBool(i.NAT), "false")
	unless("BRIDGE", i.Bridge, "")
	unless("ISOLATED", strconv.FormatBool(i.Isolated), "true")
	unless("ROUTER", strconv.FormatBool(i.Router), "false")
	unless("NETVM", i.NetVM, "")
	unless("NETVM_TAP", i.NetVMTAP, "")
	unless("MTU", strconv.Itoa(i.MTU), "0")
	unless("QUEUES", strconv.Itoa(i.Queues), "1")
	return d.file()
}

func list(prefixes []netip.Prefix) string {
	var texts []string
	for _, p := range prefixes {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ",")
}
