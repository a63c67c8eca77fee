package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// add makes the TAP. The record is there before the TAP, so that nothing is made that is not recorded, and nothing comes
// out of the TAP before its packets are filtered.
func (t *tap) add(record string) error {
	t.dropIPv6()
	if err := t.makeRoom(); err != nil {
		return err
	}
	if err := t.checkAddresses(); err != nil {
		return err
	}
	link, err := t.addLocked(record)
	if err != nil {
		return err
	}
	return t.configure(link)
}

// addLocked does what has to be done by one at a time.
func (t *tap) addLocked(record string) (link netlink.Link, err error) {
	folder := filepath.Dir(record)
	unlock, err := lock(folder)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// What an earlier run has recorded and nobody has removed.
	var old tap
	if err := read(record, &old); err != nil {
		return nil, err
	}
	t.MadeBridge = old.MadeBridge && old.Bridge == t.Bridge
	if err := write(record, t); err != nil {
		return nil, err
	}
	var bridge netlink.Link
	if t.Bridge != "" {
		if bridge, err = t.findBridge(record); err != nil {
			return nil, err
		}
		if err := t.checkNetVM(bridge); err != nil {
			return nil, err
		}
	}
	if link, err = t.make(); err != nil {
		return nil, err
	}
	// It is down. What it changes of the bridge's MAC address the firewall has to see.
	if bridge != nil {
		if err := t.join(link, bridge); err != nil {
			return nil, err
		}
	}
	return link, apply(folder, "", t.filter)
}

// remove removes what is recorded, and the record; without a record there is nothing to remove.
func remove(record string) error {
	var t tap
	if err := read(record, &t); err != nil {
		return err
	} else if t.Name == "" {
		return removeRecord(record)
	}
	// Others need not wait for the kernel, which takes its time for this.
	if err := t.delete(); err != nil {
		return fmt.Errorf("removing TAP %q: %w", t.Name, err)
	}
	folder := filepath.Dir(record)
	unlock, err := lock(folder)
	if err != nil {
		return err
	}
	defer unlock()
	others, err := readAll(folder, record)
	if err != nil {
		return err
	}
	err = apply(folder, record, func(c *nftables.Conn) error {
		deleteTable(c, t.frameTable())
		if t.isLast(others) {
			deleteTable(c, t.bridgeTable())
		}
		return nil
	})
	// Without nftables there is no filter to remove.
	if err != nil && !lacksNftables(err) {
		return err
	}
	return errors.Join(t.leave(others), removeRecord(record))
}

// refresh looks again at what the host has, its name servers and its interfaces, and writes all filters anew.
func refresh(folder string) error {
	unlock, err := lock(folder)
	if err != nil {
		return err
	}
	defer unlock()
	taps, err := readAll(folder, "")
	if err != nil {
		return err
	}
	return ofThose(slices.Collect(maps.Values(taps)), func(there []*tap) error {
		err := apply(folder, "", func(c *nftables.Conn) error {
			var errs []error
			for _, t := range there {
				errs = append(errs, t.filter(c))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
		for _, t := range there {
			t.warn(os.Stderr)
		}
		return nil
	})
}

// ofThose has the TAPs filtered that are there: not one that somebody has removed, or whose making has failed. Others may go meanwhile,
// for which remove does not wait. Before Linux 6.16 there is no filter for what is not there, and nothing of a batch with one. The
// lock is held, so that none comes.
func ofThose(taps []*tap, filter func(there []*tap) error) error {
	gone := func(t *tap) bool { _, err := netlink.LinkByName(t.Name); return err != nil }
	for {
		taps = slices.DeleteFunc(taps, gone)
		err := filter(taps)
		if !errors.Is(err, unix.ENOENT) || !slices.ContainsFunc(taps, gone) {
			return err
		}
	}
}

// apply makes the firewall what the records say, without the one at the path except, and what more adds to it, all at once.
// The lock is held. What the host forwards is closed before the firewall is, and opened after it.
func apply(folder, except string, more func(*nftables.Conn) error) error {
	taps, err := readAll(folder, except)
	if err != nil {
		return err
	}
	f := firewall{servers: resolvers()}
	var v4, v6 bool
	for _, t := range taps {
		f.taps = append(f.taps, t)
		v4, v6 = v4 || t.NAT && t.has(false), v6 || t.NAT && t.has(true)
	}
	if f.links, err = whole(netlink.LinkList); err != nil {
		return fmt.Errorf("listing interfaces: %w", err)
	}
	path := filepath.Join(folder, forwardingRecord)
	if err := read(path, &f.forwarding); err != nil {
		return err
	}
	if err := f.forwarding.close(v4, v6); err != nil {
		return err
	}
	f.forwarding.plan(f.others(), v4, v6)
	if v4 || v6 {
		err = write(path, f.forwarding)
	} else {
		err = removeRecord(path)
	}
	if err != nil {
		return err
	}
	c, err := newBatch()
	if err != nil {
		return err
	}
	if err := errors.Join(f.write(c), more(c)); err != nil {
		return err
	}
	if err := commit(c); err != nil {
		return err
	}
	for _, t := range f.taps {
		if t.NAT {
			err = errors.Join(err, t.reachLoopback(f.servers))
		}
	}
	return errors.Join(err, f.forwarding.open())
}

// whole lists something that changes meanwhile again, until the list is of one moment.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
