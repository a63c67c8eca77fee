package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"vmsilo/internal/command"
)

// tap is the host's side of an interface. What is exported is what removing it takes.
type tap struct {
	Name  string
	Owner uint32

	hostAddress string
	mtu         int
}

// add makes the TAP. The record is there before the TAP, so that nothing is made that is not recorded.
func (t tap) add(record string) error {
	if err := t.makeRoom(); err != nil {
		return err
	}
	if err := writeRecord(record, t); err != nil {
		return err
	}
	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: t.Name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_ONE_QUEUE | netlink.TUNTAP_VNET_HDR | netlink.TUNTAP_NO_PI,
		Owner:     t.Owner,
		Group:     t.Owner,
	}
	if err := netlink.LinkAdd(link); err != nil {
		return err
	}
	for _, f := range link.Fds {
		f.Close()
	}
	if err := t.quietIPv6(); err != nil {
		return fmt.Errorf("keeping IPv6 off it: %w", err)
	}
	if t.hostAddress != "" {
		address, err := netlink.ParseAddr(t.hostAddress)
		if err != nil {
			return fmt.Errorf("reading its address: %w", err)
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("giving it address %s: %w", t.hostAddress, err)
		}
	}
	if t.mtu != 0 {
		if err := netlink.LinkSetMTU(link, t.mtu); err != nil {
			return fmt.Errorf("giving it an MTU of %d: %w", t.mtu, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("raising it: %w", err)
	}
	return nil
}

// quietIPv6 keeps the kernel from making addresses and routes of its own on the TAP, which it would do on the word
// of the guest. Without an IPv6 address of the host's there is no IPv6 at all: ip-sysctl.rst of the kernel.
func (t tap) quietIPv6() error {
	settings := map[string]string{"accept_ra": "0", "autoconf": "0", "addr_gen_mode": "1"}
	if !strings.Contains(t.hostAddress, ":") {
		settings["disable_ipv6"] = "1"
	}
	for name, value := range settings {
		path := filepath.Join("/proc/sys/net/ipv6/conf", t.Name, name)
		// A kernel without IPv6 has no such file.
		if err := os.WriteFile(path, []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeRoom removes a TAP of ours that has the name, and fails when somebody else's interface has it.
func (t tap) makeRoom() error {
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
func (t tap) isOurs(link netlink.Link) bool {
	found, ok := link.(*netlink.Tuntap)
	return ok && found.Owner == t.Owner
}

// remove removes the recorded TAP and the record; without a record there is nothing to remove.
func remove(record string) error {
	t, err := readRecord(record)
	if err != nil || t.Name == "" {
		return err
	}
	link, err := netlink.LinkByName(t.Name)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
	case err != nil:
		return fmt.Errorf("removing TAP %q: %w", t.Name, err)
	case t.isOurs(link):
		if err := netlink.LinkDel(link); err != nil {
			return fmt.Errorf("removing TAP %q: %w", t.Name, err)
		}
	}
	return removeRecord(record)
}
