package main

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"vmsilo/internal/command"
)

// tap is the host's side of an interface. What is exported is what removing it takes.
type tap struct {
	Name  string
	Owner uint32

	hostAddress string
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
	if t.hostAddress != "" {
		address, err := netlink.ParseAddr(t.hostAddress)
		if err != nil {
			return fmt.Errorf("reading its address: %w", err)
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("giving it address %s: %w", t.hostAddress, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("raising it: %w", err)
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
