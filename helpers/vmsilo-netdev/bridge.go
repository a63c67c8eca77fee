package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"vmsilo/internal/command"
)

// findBridge returns the bridge that a TAP shall be a port of, and makes it when there is no interface of that name. That
// is recorded first. The lock is held.
func (t *tap) findBridge(record string) (netlink.Link, error) {
	link, err := netlink.LinkByName(t.Bridge)
	if err == nil {
		if t.private() && !t.MadeBridge {
			if err := t.checkOurs(filepath.Dir(record)); err != nil {
				return nil, err
			}
		}
		if link.Type() != "bridge" {
			return nil, command.Errorf("choose another name, or leave it out and have the bridge made",
				"%q is a %s, and no bridge", t.Bridge, link.Type())
		}
		return link, nil
	} else if !errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, err
	}
	t.MadeBridge = true
	if err := write(record, t); err != nil {
		return nil, err
	}
	// A bridge without an address of its own takes the least of its ports', which come and go.
	sum := sha1.Sum([]byte("bridge " + t.Bridge))
	attrs := netlink.LinkAttrs{Name: t.Bridge, HardwareAddr: append(net.HardwareAddr{0x52}, sum[:5]...)}
	// What is for a group goes to all that a port reaches. Guests would tell otherwise who is in it.
	snooping := false
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return nil, fmt.Errorf("making bridge %q: %w", t.Bridge, err)
	}
	// The host has no part in it, and tells nobody there of the addresses that it has elsewhere.
	err6 := set(filepath.Join(conf6, t.Bridge, "disable_ipv6"), "1")
	if err := errors.Join(err6, set(filepath.Join(conf4, t.Bridge, "arp_ignore"), "1")); err != nil {
		return nil, err
	}
	if link, err = netlink.LinkByName(t.Bridge); err != nil {
		return nil, err
	}
	return link, netlink.LinkSetUp(link)
}

// join makes a TAP a port of a bridge.
func (t *tap) join(link, bridge netlink.Link) error {
	// Above what any bridge has, which would otherwise change its own address to this one.
	address := append(net.HardwareAddr{0xfe}, t.mac()[1:]...)
	if address[0] == t.mac()[0] {
		address[0] = 0xfa
	}
	if err := netlink.LinkSetHardwareAddr(link, address); err != nil {
		return fmt.Errorf("giving it address %s: %w", address, err)
	}
	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("making it a port of bridge %q: %w", t.Bridge, err)
	}
	if err := netlink.LinkSetIsolated(link, t.isolated); err != nil {
		return fmt.Errorf("isolating it from the other ports of bridge %q: %w", t.Bridge, err)
	}
	return nil
}

// another returns a TAP of the same bridge and its record, or nil.
func (t *tap) another(others map[string]*tap) (record string, other *tap) {
	for record, other := range others {
		if other.Bridge == t.Bridge {
			return record, other
		}
	}
	return "", nil
}

// leave removes the bridge that was made for a TAP, or has another TAP's record say that it was made, when others use it.
// The lock is held.
func (t *tap) leave(others map[string]*tap) error {
	if !t.MadeBridge {
		return nil
	}
	if record, other := t.another(others); other != nil {
		other.MadeBridge = true
		return write(record, other)
	}
	bridge, err := netlink.LinkByName(t.Bridge)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	} else if err != nil {
		return err
	}
	links, err := whole(netlink.LinkList)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Attrs().MasterIndex == bridge.Attrs().Index {
			// Somebody else has put something in: it is theirs by now.
			return nil
		}
	}
	if err := netlink.LinkDel(bridge); err != nil {
		return fmt.Errorf("removing bridge %q: %w", t.Bridge, err)
	}
	return nil
}
