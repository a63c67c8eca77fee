package graph

import (
	"strconv"
	"strings"

	"vmsilo/generator/machine"
	"vmsilo/generator/vmm"
	"vmsilo/internal/paths"
)

// part is one unit that a VM needs before it starts, with all drop-ins that it takes.
type part struct {
	unit    string
	dropins []*dropin
}

// parts returns what m needs, in the order of the design's table.
func parts(m *machine.Machine) []part {
	all := []part{userPart(m)}
	if m.Overlay.Type == "qcow2" {
		all = append(all, diskPart(m))
	}
	for _, i := range m.Interfaces {
		all = append(all, netdevPart(m, i))
	}
	if m.SharedHome != "" {
		all = append(all, sharePart(m))
	}
	return append(all, vsockPart(m), notifyPart(m))
}

// vmService returns the drop-in of the VMM itself.
func vmService(m *machine.Machine, parts []part) File {
	units := make([]string, len(parts))
	for i, p := range parts {
		units[i] = p.unit
	}
	for _, name := range m.DependsOn {
		units = append(units, vmUnit(name))
	}
	d := newDropin(vmUnit(m.Name))
	if m.Description != "" {
		d.set("Unit", "Description", line("VM "+m.Name+": "+m.Description))
	}
	d.set("Unit", "SourcePath", line(m.Path))
	d.set("Unit", "Requires", strings.Join(units, " "))
	d.set("Unit", "After", strings.Join(units, " "))
	// A VM whose vsock device has died can neither say that it is up nor be asked to stop.
	d.set("Unit", "BindsTo", "vmsilo-vsock@"+m.Name+".service")
	d.set("Service", "Slice", sliceName(m.Name))
	d.set("Service", "TimeoutStartSec", m.StartTimeout.Text)
	d.set("Service", "TimeoutStopSec", m.StopTimeout.Text)
	d.set("Service", "Environment", "STOP_TIMEOUT="+stopTimeout(m))
	d.exec("Service", "ExecStart", vmm.ByName[m.Hypervisor].Command(m))
	return d.file()
}

// stopTimeout returns the VM's time to stop as vmsilo-stop takes it.
func stopTimeout(m *machine.Machine) string {
	if m.StopTimeout.Infinite {
		return "infinity"
	}
	return m.StopTimeout.Duration.String()
}

// inSlice begins the drop-in of a unit of m.
func inSlice(m *machine.Machine, unitName string) *dropin {
	d := newDropin(unitName)
	section := "Service"
	if strings.HasSuffix(unitName, ".socket") {
		section = "Socket"
	}
	d.set(section, "Slice", sliceName(m.Name))
	return d
}

// belongs ties a unit whose instance is NAME:X to its VM. Where the instance is NAME, the template does this.
func belongs(m *machine.Machine, d *dropin) {
	d.set("Unit", "PartOf", vmUnit(m.Name))
	d.set("Unit", "Before", vmUnit(m.Name))
	d.set("Unit", "After", "vmsilo-down@"+m.Name+".service vmsilo-user@"+m.Name+".service")
	d.set("Unit", "Requires", "vmsilo-user@"+m.Name+".service")
}

func userPart(m *machine.Machine) part {
	d := inSlice(m, "vmsilo-user@"+m.Name+".service")
	vm := vmm.ByName[m.Hypervisor]
	words := []string{
		paths.Helper("vmsilo-user"), "add", "--vm=" + m.Name, "--uid=" + strconv.Itoa(m.UID), "--folder=" + m.Runtime("vsock"),
		"--file=kernel=" + m.Kernel, "--file=initrd=" + m.Initrd, "--file=root=" + m.Root,
		"--program=" + vm.Package + "=" + vm.Program,
		"--program=vhost-device-vsock=vhost-device-vsock",
	}
	if m.Overlay.Type == "qcow2" {
		words = append(words, "--program=qemu-utils=qemu-img")
	}
	if m.SharedHome != "" {
		words = append(words, "--program=virtiofsd="+paths.Virtiofsd)
	}
	d.exec("Service", "ExecStart", words)
	return part{d.unit, []*dropin{d}}
}

func diskPart(m *machine.Machine) part {
	d := inSlice(m, "vmsilo-disk@"+m.Name+".service")
	d.exec("Service", "ExecStart",
		[]string{paths.Helper("vmsilo-disk"), "create", "--size=" + strconv.FormatInt(m.Overlay.Size, 10), m.EphemeralDisk()})
	return part{d.unit, []*dropin{d}}
}

func netdevPart(m *machine.Machine, i machine.Interface) part {
	instance := m.Name + ":" + i.Name
	d := inSlice(m, "vmsilo-netdev@"+instance+".service")
	belongs(m, d)
	words := []string{
		paths.Helper("vmsilo-netdev"), "add",
		"--tap=" + i.TAP, "--owner=" + strconv.Itoa(m.UID),
	}
	if i.HostAddress != "" {
		words = append(words, "--host-address="+i.HostAddress)
	}
	d.exec("Service", "ExecStart", append(words, m.NetdevRecord(i.Name)))
	// What goes wrong here is shown by systemctl status of the VM, too.
	d.set("Service", "Environment", "OBJECT_SYSTEMD_UNIT="+vmUnit(m.Name))
	return part{d.unit, []*dropin{d}}
}

func sharePart(m *machine.Machine) part {
	instance := m.Name + ":home"
	socket := inSlice(m, "vmsilo-share@"+instance+".socket")
	belongs(m, socket)
	socket.set("Socket", "SocketUser", m.User())
	socket.set("Socket", "Environment", "OBJECT_SYSTEMD_UNIT="+vmUnit(m.Name))
	socket.exec("Socket", "ExecStartPre",
		[]string{paths.Helper("vmsilo-home"), "--owner=" + m.VM.User, m.SharedHome})
	service := inSlice(m, "vmsilo-share@"+instance+".service")
	// The VM's connection starts it, so that this orders the stop alone: the guest still writes while it shuts down.
	service.set("Unit", "Before", vmUnit(m.Name))
	service.set("Unit", "OnFailure", "vmsilo-lost@"+m.Name+".service")
	service.set("Service", "User", m.VM.User)
	service.set("Service", "BindPaths", quoteBind(m.SharedHome))
	service.exec("Service", "ExecStart", []string{paths.Helper("vmsilo-share"), paths.Virtiofsd, m.SharedHome})
	return part{socket.unit, []*dropin{socket, service}}
}

func vsockPart(m *machine.Machine) part {
	d := inSlice(m, "vmsilo-vsock@"+m.Name+".service")
	d.exec("Service", "ExecStart", []string{
		"vhost-device-vsock", "--guest-cid=" + strconv.Itoa(m.CID()),
		"--socket=" + m.VsockDevice(), "--uds-path=" + m.Runtime("vsock", "host.sock"),
	})
	return part{d.unit, []*dropin{d}}
}

func notifyPart(m *machine.Machine) part {
	socket := inSlice(m, "vmsilo-notify@"+m.Name+".socket")
	return part{socket.unit, []*dropin{socket, inSlice(m, "vmsilo-notify@"+m.Name+".service")}}
}
