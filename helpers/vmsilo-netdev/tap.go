package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// tap is the host's side of an interface. What is exported is recorded: removing it takes that, and so does the firewall
// of all TAPs.
type tap struct {
	Name  string
	Owner uint32
	// MAC is the guest's address.
	MAC string
	// Addresses are the guest's, and HostAddresses the host's on the TAP.
	Addresses, HostAddresses []netip.Prefix `json:",omitempty"`
	NAT                      bool           `json:",omitempty"`
	// Bridge is the bridge that the TAP is a port of, or ""; MadeBridge tells that it is to be removed.
	Bridge     string     `json:",omitempty"`
	MadeBridge bool       `json:",omitempty"`
	Ports      []hostPort `json:",omitempty"`
	// Router tells that the guest is a netvm, whose clients are here; NetVM is the netvm of a client.
	Router bool   `json:",omitempty"`
	NetVM  string `json:",omitempty"`

	isolated    bool
	netvmTAP    string
	mtu, queues int
}

func (t *tap) mac() net.HardwareAddr {
	mac, err := net.ParseMAC(t.MAC)
	if err != nil || len(mac) != 6 {
		// A record is written after a look at it.
		return make(net.HardwareAddr, 6)
	}
	return mac
}

// has tells whether the host has an address of IPv6, or else of IPv4, on the TAP.
func (t *tap) has(v6 bool) bool {
	return slices.ContainsFunc(t.HostAddresses, func(p netip.Prefix) bool { return p.Addr().Is6() == v6 })
}

// dropIPv6 leaves out what a kernel without IPv6 cannot have and a guest with NAT can do without.
func (t *tap) dropIPv6() {
	if _, err := os.Stat(conf6); t.NAT && err != nil {
		t.HostAddresses = slices.DeleteFunc(t.HostAddresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	}
}

// make makes the TAP, whose record is there, and keeps it down.
func (t *tap) make() (netlink.Link, error) {
	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: t.Name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_VNET_HDR | netlink.TUNTAP_NO_PI,
		Owner:     t.Owner,
		Group:     t.Owner,
		Queues:    1,
	}
	// A VMM can attach one queue to one kind of TAP, and several to the other: tun_set_iff() of drivers/net/tun.c.
	if t.queues > 1 {
		link.Flags |= netlink.TUNTAP_MULTI_QUEUE
	} else {
		link.Flags |= netlink.TUNTAP_ONE_QUEUE
	}
	if err := netlink.LinkAdd(link); err != nil {
		return nil, err
	}
	for _, f := range link.Fds {
		f.Close()
	}
	// Before it is a port of a bridge, which might take a smaller one, too.
	if t.mtu != 0 {
		if err := netlink.LinkSetMTU(link, t.mtu); err != nil {
			return nil, fmt.Errorf("giving it an MTU of %d: %w", t.mtu, err)
		}
	}
	return link, t.quiet()
}

// quiet keeps the kernel from making addresses and routes of its own on the TAP, which it would do on the word of the guest,
// and from telling it of the host's other addresses. Without an IPv6 address of the host's there is no IPv6 at all:
// ip-sysctl.rst of the kernel.
func (t *tap) quiet() error {
	settings := map[string]string{
		conf6 + "/accept_ra": "0", conf6 + "/autoconf": "0", conf6 + "/addr_gen_mode": "1", conf6 + "/disable_ipv6": "1",
		conf4 + "/arp_ignore": "1",
	}
	if t.has(true) {
		settings[conf6+"/disable_ipv6"] = "0"
	}
	for path, value := range settings {
		if err := set(filepath.Join(filepath.Dir(path), t.Name, filepath.Base(path)), value); err != nil {
			return err
		}
	}
	return nil
}

// linkLocal is what the host asks its guest from where it is: ndisc_send_ns() of net/ipv6/ndisc.c. No guest has it, since
// theirs are made of their MAC addresses.
var linkLocal = netip.MustParsePrefix("fe80::1/64")

// configure gives the TAP what the host has of it, and raises it.
func (t *tap) configure(link netlink.Link) error {
	addresses := slices.Clone(t.HostAddresses)
	if t.has(true) {
		addresses = append(addresses, linkLocal)
	}
	for _, a := range addresses {
		address := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}}
		if a.Addr().Is6() {
			// Nobody else can have it: it need not be asked for first.
			address.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("giving it address %s: %w", a, err)
		}
	}
	if err := t.letIn(); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("raising it: %w", err)
	}
	return nil
}

// makeRoom removes a TAP of ours that has the name, and fails when somebody else's interface has it.
func (t *tap) makeRoom() error {
	link, err := netlink.LinkByName(t.Name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	} else if err != nil {
		return err
	}
	if !t.isOurs(link) {
		return command.Errorf("remove or rename it: ip link delete "+t.Name, "an interface of this name is there and is not vmsilo's")
	}
	return netlink.LinkDel(link)
}

// isOurs reports whether link is a TAP that belongs to the VM: the VM's uid owns nothing else.
func (t *tap) isOurs(link netlink.Link) bool {
	found, ok := link.(*netlink.Tuntap)
	return ok && found.Owner == t.Owner
}

// delete removes the TAP, if it is there.
func (t *tap) delete() error {
	link, err := netlink.LinkByName(t.Name)
	if errors.As(err, new(netlink.LinkNotFoundError)) || err == nil && !t.isOurs(link) {
		return nil
	} else if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

// checkAddresses finds addresses of the host's that are in networks of other interfaces: the host would reach one of the
// two alone. It finds such of the guest, too, that the host has where they meet.
func (t *tap) checkAddresses() error {
	addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range addresses {
		ip, _ := netip.AddrFromSlice(a.IP)
		ones, _ := a.Mask.Size()
		theirs, name := netip.PrefixFrom(ip.Unmap(), ones), fmt.Sprint("number ", a.LinkIndex)
		if link, err := netlink.LinkByIndex(a.LinkIndex); err == nil {
			name = link.Attrs().Name
		}
		for _, mine := range t.HostAddresses {
			if theirs.Overlaps(mine) && !mine.Addr().IsLinkLocalUnicast() {
				return command.Errorf(`choose another "host_address", or another "subnet" in vmsilo.toml`,
					"its network %s meets %s of interface %q", mine.Masked(), theirs, name)
			}
		}
		for _, guests := range t.Addresses {
			if guests.Addr() == theirs.Addr() && (t.HostAddresses != nil || name == t.Bridge) {
				return command.Errorf(`choose other "addresses"`, "the guest's address %s is the host's, on interface %q", guests.Addr(), name)
			}
		}
	}
	return nil
}
