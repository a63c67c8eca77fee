// Package crosvm runs a machine with crosvm. Options: crosvm run --help, https://crosvm.dev/book/
package crosvm

import (
	"fmt"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/lending"
	"vmsilo/internal/paths"
	"vmsilo/vmm"
	"vmsilo/vmm/crosvm/socket"
)

// VMM is crosvm.
var VMM = vmm.VMM{
	Hypervisor: config.Hypervisor{Name: "crosvm"},
	Program:    program, Package: "crosvm",
	Command: command, Sandbox: sandbox, AsksTag: true, OwnHugePages: true,
}

const program = "crosvm"

// emptyFolder is what the sandboxes of devices see as their root. The default, /var/empty, is in few distributions.
const emptyFolder = "/run/empty"

// waylandFolder is where the GPU finds the compositor's socket: crosvm shows the whole folder to the sandbox of its GPU, which
// is not to see the VM's other sockets.
const waylandFolder = "/run/wayland"

// command returns the command that runs m in the foreground, its console on standard output.
func command(m *machine.Machine) []string {
	console := "--console=" + m.Runtime("vmm", "console.sock")
	a := args{paths.Helper("vmsilo-crosvm"), console, "--console-as=" + m.Name + "-guest"}
	a.add(program, "--no-syslog", "--extended-status", "run", "--name", m.Name)
	a.add("--cpus", fmt.Sprint(m.CPUs), "--mem", fmt.Sprint(m.Memory>>20))
	if m.HugePages {
		// Transparent ones: as many as the kernel has. It knows no others.
		a.add("--hugepages")
	}
	a.add("--socket", m.Runtime("vmm", socket.Name), "--pivot-root", emptyFolder)
	// The first serial port, on which the guest logs, is the journal's; the second, on which it has a shell, vmsilo-crosvm's.
	a.add("--serial", "type=stdout,hardware=serial,num=1,console")
	a.add("--serial", "type=file,hardware=serial,num=2,path=/proc/self/fd/3,input=/proc/self/fd/3")
	a.add("--block", fmt.Sprintf("path=%s,ro,id=vmsilo-root,pci-address=%s", quote(m.Root), pci(machine.AtRoot)))
	if m.Overlay.Type == "qcow2" {
		a.add("--block", fmt.Sprintf("path=%s,id=vmsilo-overlay,sparse=true,pci-address=%s",
			quote(m.EphemeralDisk()), pci(machine.AtOverlay)))
	}
	for n, d := range m.Disks {
		a.lent(n, d)
	}
	for _, s := range m.Shares {
		a.add("--vhost-user", fmt.Sprintf("type=fs,socket=%s,pci-address=%s", quote(m.ShareSocket(s.Tag)), pci(s.PCI)))
	}
	if m.Balloon {
		// It always deflates when the guest runs out of memory.
		a.add("--balloon-page-reporting")
	} else {
		a.add("--no-balloon")
	}
	// The vsock and sound devices start at the same time.
	a.add("--vhost-user-connect-timeout-ms", "10000")
	a.add("--vhost-user", fmt.Sprintf("type=vsock,socket=%s,pci-address=%s", quote(m.VsockDevice()), pci(machine.AtVsock)))
	if m.Sound.Any() {
		// vhost-device-sound takes no longer queues.
		a.add("--vhost-user", fmt.Sprintf("type=sound,socket=%s,max-queue-size=64,pci-address=%s", quote(m.SoundDevice()), pci(m.SoundPlace())))
	}
	for _, i := range m.Interfaces {
		// A name of digits would be read as a number without quotes.
		net := fmt.Sprintf("tap-name=%s,mac=%s,pci-address=%s", quote(i.TAP), quote(i.MAC), pci(i.PCI))
		if i.Queues > 1 {
			net += fmt.Sprintf(",vq-pairs=%d", i.Queues)
		}
		a.add("--net", net)
	}
	if m.GPU {
		a.add("--gpu", "context-types=cross-domain,displays=[[hidden=true]],pci-address="+pci(machine.AtGPU))
		if m.Wayland != "none" {
			a.add("--wayland-sock", waylandFolder+"/wayland.sock")
		}
	}
	for n, address := range m.PCIDevices {
		a.add("--vfio", fmt.Sprintf("path=%s,guest-address=%s", quote(machine.HostDevice(address)), pci(machine.HostDevicePlace(n))))
	}
	a.add("--initrd", m.Initrd, "-p", m.KernelCommandLine("ttyS0"))
	a.add(m.HypervisorArgs...)
	return append(a, m.Kernel)
}

// sandbox returns what crosvm needs to put each of its devices into a sandbox of its own, with the minijail library: a
// user namespace, in which it mounts, changes its root, and drops what it got by that.
func sandbox(m *machine.Machine) [][2]string {
	settings := [][2]string{
		{"TemporaryFileSystem", emptyFolder + ":ro"},
		{"RestrictNamespaces", "user mnt pid net"},
		{"SystemCallFilter", "@mount capset"},
		// minijail reads /proc/sys/kernel/cap_last_cap.
		{"ProcSubset", "all"},
	}
	if m.GPU {
		// The GPU's sandbox has a file system of its own: minijail makes folders there, which it gives to the user that it
		// is by then, and who that is.
		settings = append(settings, [2]string{"SystemCallFilter", "@chown setresuid setresgid"})
		// As many files as crosvm lets its GPU open; a lower hard limit ends it.
		settings = append(settings, [2]string{"LimitNOFILE", "32768"})
		if m.Wayland != "none" {
			settings = append(settings, [2]string{"TemporaryFileSystem", waylandFolder + ":ro"})
			settings = append(settings, [2]string{"BindPaths", "-" + m.WaylandSocket() + ":" + waylandFolder + "/wayland.sock"})
			// crosvm would open a display of its own there, that shows nothing, and wait for the compositor's answer with the
			// whole VM: what is no number here is no display, wl_display_connect() of libwayland. Guests' connections are others.
			settings = append(settings, [2]string{"Environment", "WAYLAND_SOCKET=none"})
		}
	}
	if len(m.Interfaces) > 0 {
		// For ioctls on the TAP, which crosvm makes on an inet socket.
		settings = append(settings, [2]string{"RestrictAddressFamilies", "AF_INET"})
	}
	return settings
}

type args []string

func (a *args) add(words ...string) { *a = append(*a, words...) }

// lent adds the nth of the disks that are borrowed, whose descriptor is that of lending.First and n. Its format is what
// its header says, which vmsilo-crosvm has compared.
func (a *args) lent(n int, d config.Disk) {
	mode := ""
	if d.ReadOnly {
		mode = ",ro"
	}
	a.add("--block", fmt.Sprintf("path=/proc/self/fd/%d%s,id=%s,sparse=%t,pci-address=%s",
		lending.First+n, mode, quote("vmsilo-"+d.Name), d.Discard, pci(machine.DiskPlace(n))))
}

// pci returns a place as crosvm writes addresses. What has no address there crosvm puts where there is room, after these:
// randomness, the balloon and the panic device, for which 0x01, 0x06 and 0x1f are always left.
func pci(p machine.PCI) string { return "00:" + p.String() }

// quote makes value one string of crosvm's key-value options (the serde_keyvalue crate of crosvm):
// in double quotes, where a backslash takes the next character as it is.
func quote(value string) string {
	out := []byte{'"'}
	for _, b := range []byte(value) {
		if b == '"' || b == '\\' {
			out = append(out, '\\')
		}
		out = append(out, b)
	}
	return string(append(out, '"'))
}
