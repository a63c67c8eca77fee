package cmdline

import (
	"fmt"
	"net/netip"
)

// Bounds of what one VM can have.
const (
	// MaxInterfaces is how many interfaces a VM can have: indexes 22 to 36, and a netvm's to its clients.
	MaxInterfaces = 16
	// MaxAddresses is how many addresses one interface can have.
	MaxAddresses = 16
	// MaxDNS is how many name servers a VM can have.
	MaxDNS = 8
	// MaxShares is how many folders beside the home the host can share: more than a board has slots for.
	MaxShares = 32
)

// Values of vmsilo.overlay and vmsilo.home.
const (
	OverlayDisk  = "qcow2"
	OverlayTmpfs = "tmpfs"
	HomeVirtiofs = "virtiofs"
	HomeNone     = "none"
)

// Interface is one vmsilo.ifname, the name that the interface with this MAC has to get, and what other parameters
// say of it.
type Interface struct {
	Name string
	// MAC is in lower case with colons, as sysfs prints it.
	MAC string
	// Addresses hold the interface's own address and the length of its network. No address is there twice.
	Addresses []netip.Prefix
	// Gateways are one of IPv4 and one of IPv6 at most.
	Gateways []netip.Addr
	// MTU is in bytes; 0 leaves it to the kernel.
	MTU int
}

// Share is one folder that the host shares by virtiofs.
type Share struct {
	Tag string
	// Target is an absolute path without "." and "..", outside the system's own folders.
	Target   string
	ReadOnly bool
}

// Params is all that the host told this guest. A field is empty when its parameter is missing or malformed.
type Params struct {
	Name         string
	Interfaces   []Interface // in the order of the command line; names and MACs are unique
	DNS          []netip.Addr
	Clients      string  // the interface to the VMs that this one routes for, one of Interfaces
	Shares       []Share // tags and targets are unique
	Overlay      string  // OverlayDisk or OverlayTmpfs
	Home         string  // HomeVirtiofs or HomeNone
	WaylandProxy string

	// Malformed are the parameters that were left out.
	Malformed []*ParamError
}

// Interface returns the interface of that name, or nil.
func (p *Params) Interface(name string) *Interface {
	for i := range p.Interfaces {
		if p.Interfaces[i].Name == name {
			return &p.Interfaces[i]
		}
	}
	return nil
}

// ParamError is one parameter that was not understood.
type ParamError struct {
	Param string // the whole name, such as "vmsilo.ifname"
	Err   error
}

// Error names the parameter; it is one line, without bytes that a terminal would act on.
func (e *ParamError) Error() string { return fmt.Sprintf("kernel parameter %s: %v", e.Param, e.Err) }

// Unwrap gives what was wrong with the value.
func (e *ParamError) Unwrap() error { return e.Err }
