// Package machine works out all that a VM's configuration leaves to rules: names, addresses, slots, paths.
package machine

import (
	"crypto/sha1"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"

	"vmsilo/generator/config"
	"vmsilo/internal/paths"
)

const (
	// baseUID is what is added to a VM's id for its uid and gid. Above the dynamic users of systemd, which end at
	// 65519, and below what it gives to containers, no distribution hands out uids: https://systemd.io/UIDS-GIDS/
	baseUID = 70000
	// firstIndex is the index of a VM's first interface.
	firstIndex = 22
	// maxTAP is the longest name of an interface: IFNAMSIZ of linux/if.h less its NUL.
	maxTAP = 15
)

// Machine is a VM with every derived value.
type Machine struct {
	*config.VM
	// UID is the uid and gid of the VM's own user.
	UID        int
	Interfaces []Interface
	// Shares are the home, where there is one, and the shared directories.
	Shares []Share
}

// Share is a folder that the guest mounts by virtio-fs.
type Share struct {
	config.SharedDirectory
	PCI PCI
}

// Interface is a network interface with its derived values.
type Interface struct {
	config.Interface
	// Index is the interface's index: 22 for the first in byte order, and 37 for a netvm's to its clients.
	Index int
	// TAP is the name of the host's side.
	TAP string
	// MAC is the address of the guest's side.
	MAC string
	PCI PCI
	// HostAddresses are the host's on the TAP: the one that is configured, or one of each family with NAT.
	HostAddresses []netip.Prefix
	// Router tells that the VM sends others' packets here: it is a netvm's interface to its clients.
	Router bool
	// NetVMTAP is the TAP of the interface's netvm to its clients, or "".
	NetVMTAP string
}

// All derives the machines of c, refuses those that clash, and returns the ones that are sound.
func All(c *config.Config) []*Machine {
	machines := make([]*Machine, 0, len(c.VMs))
	for vm := range c.All() {
		machines = append(machines, New(vm))
	}
	for name, errs := range Check(machines) {
		c.Refuse(name, errs)
	}
	return slices.DeleteFunc(machines, func(m *Machine) bool {
		_, broken := c.Broken[m.Name]
		return broken
	})
}

// New derives the machine of vm.
func New(vm *config.VM) *Machine {
	m := &Machine{VM: vm, UID: baseUID + vm.ID}
	named := false
	for n, iface := range vm.Interfaces {
		index := firstIndex + n
		i := Interface{
			Interface: iface,
			Index:     index,
			TAP:       tapName(vm.Name, vm.ID, index),
			MAC:       macAddress(vm.Name, iface),
			PCI:       PCI{firstSlot + n, 0},
		}
		i.join()
		i.address(vm, named)
		named = named || i.DNS != nil
		m.Interfaces = append(m.Interfaces, i)
	}
	if vm.HasClients {
		m.Interfaces = append(m.Interfaces, clients(vm))
	}
	if vm.SharedHome != "" {
		home := config.SharedDirectory{Tag: config.HomeTag, Source: vm.SharedHome, Target: config.HomeTarget}
		m.Shares = append(m.Shares, Share{home, AtHome})
	}
	places := sharePlaces(len(vm.SharedDirectories), vm.SharedHome != "")
	for i, s := range vm.SharedDirectories {
		m.Shares = append(m.Shares, Share{s, places[i]})
	}
	return m
}

// tapName is NAME-INDEX; a name too long for the kernel is cut and the id put after it.
func tapName(name string, id, index int) string { return linkName(name, id, strconv.Itoa(index)) }

// linkName is the name of a link of the host's for a VM.
func linkName(name string, id int, suffix string) string {
	suffix = "-" + suffix
	if len(name)+len(suffix) <= maxTAP {
		return name + suffix
	}
	suffix = strconv.Itoa(id) + suffix
	return name[:maxTAP-len(suffix)] + suffix
}

// macAddress is 52 and the first five bytes of SHA-1 of NAME-IFNAME, unless one is given.
func macAddress(name string, i config.Interface) string {
	if i.MAC != "" {
		return i.MAC
	}
	sum := sha1.Sum([]byte(name + "-" + i.Name))
	return net.HardwareAddr(append([]byte{0x52}, sum[:5]...)).String()
}

// User returns the name of the VM's own user.
func (m *Machine) User() string { return "vmsilo-" + m.Name }

// CID returns the VM's context identifier of vsock(7).
func (m *Machine) CID() int { return m.ID }

// Runtime returns the path of a socket or record below the VM's runtime folder.
func (m *Machine) Runtime(elem ...string) string {
	return filepath.Join(append([]string{paths.Runtime, m.Name}, elem...)...)
}

// VsockDevice returns the path of the socket that the vsock device offers to the VMM.
func (m *Machine) VsockDevice() string { return m.Runtime("vsock", "vhost.sock") }

// SoundDevice returns the path of the socket that the sound device offers to the VMM, as units/vmsilo-sound@.service has it.
func (m *Machine) SoundDevice() string { return m.Runtime("sound", "vhost.sock") }

// WaylandSocket returns the path of the socket that leads to the user's compositor.
func (m *Machine) WaylandSocket() string { return m.Runtime("wayland.sock") }

// ShareSocket returns the path of the socket of the share with the given tag, as units/vmsilo-share@.socket has it.
func (m *Machine) ShareSocket(tag string) string {
	return filepath.Join(paths.Runtime, m.Name+":"+tag+".sock")
}

// Lender returns the path of the socket where the VMM borrows disks, as units/vmsilo-lend@.socket has it.
func (m *Machine) Lender() string { return m.Runtime("lend.sock") }

// ShareRecord returns the path of the record of which folder a share is, in the folder that units/vmsilo-home@.service has
// for that.
func (m *Machine) ShareRecord(tag string) string { return m.Runtime("shares", tag) }

// HostDevice returns the path of a PCI device of the host, from its address.
func HostDevice(address string) string { return filepath.Join("/sys/bus/pci/devices", address) }

// EphemeralDisk returns the path of the qcow2 that takes the writes to the root.
func (m *Machine) EphemeralDisk() string {
	return filepath.Join(paths.State, m.Name, "ephemeral.qcow2")
}
