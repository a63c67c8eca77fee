// Package config reads vmsilo's TOML files: it knows every key, checks every value by itself, and says
// where each error stands. It reads files and does nothing else.
package config

import (
	"net/netip"
	"time"
)

// Host is what vmsilo.toml says about the whole host.
type Host struct {
	// User is the desktop user, a name or a decimal uid.
	User string
	// Subnet and Subnet6 are the networks that automatic addresses are taken from, in CIDR notation.
	Subnet, Subnet6 string
}

// VM is one VM as its file and the defaults describe it; all values are within their ranges.
type VM struct {
	Name        string
	Path        string
	ID          int
	Description string
	// Color is a name of CSS or #rrggbb.
	Color     string
	Autostart bool
	// Hypervisor is "crosvm", "cloud-hypervisor" or "qemu".
	Hypervisor string
	// Memory is in bytes.
	Memory int64
	// HugePages asks for the guest's memory in pages of 2 MiB, of which Memory is then a multiple.
	HugePages bool
	CPUs      int
	// Kernel, Initrd and Root are absolute paths.
	Kernel, Initrd, Root string
	KernelParams         []string
	Overlay              Overlay
	// SharedHome is the absolute path of the home on the host, or "" when there is none.
	SharedHome string
	// SharedDirectories, Interfaces and Disks are in byte order of their names.
	SharedDirectories []SharedDirectory
	Interfaces        []Interface
	Disks             []Disk
	// HostPorts are ports of the host that the VM may reach, as "53/udp".
	HostPorts []string
	// Wayland is "context", "plain" or "none"; WaylandProxy the guest's proxy, or "none".
	Wayland, WaylandProxy string
	GPU                   bool
	Sound                 Sound
	// PCIDevices are addresses as lspci -D prints them, each once: "0000:01:00.0".
	PCIDevices []string
	Balloon    bool
	// DependsOn names VMs that start before this one and stop after it. Each is configured, and none depends on this one.
	DependsOn []string
	// User owns the shares: a name or a decimal uid.
	User                                string
	StartTimeout, StopTimeout, IdleStop TimeSpan
	HypervisorArgs                      []string
	// Off are warnings, at their places, of keys of [defaults] that Hypervisor cannot honour.
	Off []Error
	// HasClients tells that other VMs have this one for their netvm.
	HasClients bool
	// Subnets are the networks that automatic addresses are taken from: one of IPv4, and one of IPv6.
	Subnets []netip.Prefix

	origin *origin
}

// Overlay is where writes to the shared root go.
type Overlay struct {
	// Type is "qcow2" or "tmpfs".
	Type string
	// Size is in bytes; it bounds a qcow2.
	Size int64
}

// SharedDirectory is a folder of the host that the guest sees.
type SharedDirectory struct {
	// Tag names the share; it is never "home".
	Tag string
	// Source is the absolute path on the host, Target the one in the guest.
	Source, Target string
	ReadOnly       bool
}

// Interface is one network interface of a VM.
type Interface struct {
	// Name is the interface's name in the guest.
	Name string
	// MAC is lower-case and colon-separated, or "" when it is to be derived.
	MAC string
	// HostAddress is a CIDR for the host's side, or "". With NAT and Addresses there is one.
	HostAddress string
	// Bridge is the bridge that the host's side is a port of, or ""; Isolated keeps it from the other isolated ports.
	Bridge   string
	Isolated bool
	// NetVM is the VM on the other end of the link, or "", and NetVMID its id.
	NetVM   string
	NetVMID int
	// Addresses are the guest's, in CIDR notation; Gateways and DNS are addresses, one gateway a family at most.
	Addresses, Gateways, DNS []string
	NAT                      bool
	// MTU is in bytes; 0 leaves the kernel's.
	MTU    int
	Queues int
}

// Disk is one disk of a VM beside its root.
type Disk struct {
	// Name is never "root" or "overlay"; the guest sees it in the disk's serial.
	Name string
	// Path is absolute.
	Path string
	// Format is "raw" or "qcow2".
	Format            string
	ReadOnly, Discard bool
}

// Sound says which ways of audio a VM has.
type Sound struct{ Playback, Capture bool }

// Any tells whether there is a way of audio, and so a sound device.
func (s Sound) Any() bool { return s.Playback || s.Capture }

// TimeSpan is a time span of systemd.time(7).
type TimeSpan struct {
	// Text is the span as it was written.
	Text string
	// Duration is its length; Infinite says that it never ends.
	Duration time.Duration
	Infinite bool
}

// origin is where a VM is described. Places are wanted for errors alone, so that the tree, which is larger than all
// else, is not kept but read again when one is asked for.
type origin struct {
	file     *File
	defaults *Node
	tree     *Node
}

// root returns the merged tree of a file that was parsed before.
func (o *origin) root() *Node {
	if o.tree == nil {
		own, _ := parse(o.file)
		o.tree = merge(o.defaults, own)
	}
	return o.tree
}

// dependency returns where the nth name of depends_on is written.
func (vm *VM) dependency(n int) Position {
	return vm.origin.root().table["depends_on"].items[n].value
}

// At returns where the value under the given keys is written, or where the nearest table around it is.
func (vm *VM) At(keys ...string) Position {
	n := vm.origin.root()
	for _, key := range keys {
		next := n.table[key]
		if next == nil {
			break
		}
		n = next
	}
	return n.value
}
