package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// forwardingRecord is where what forwarding says is kept, beside the records of the TAPs. It has no colon, as they have.
const forwardingRecord = "forwarding"

// forwarding is what was changed of the host so that it forwards what guests with NAT send and get.
//
// The kernel forwards what comes from an interface whose switch is on: that of the guest, and those where answers come
// from. For IPv4 each interface has a switch: ip_forward in ip-sysctl.rst of the kernel. For IPv6 it has one from
// Linux 6.17 on, force_forwarding. Before that there is one for all interfaces.
type forwarding struct{ V4, V6 opened }

// opened is what was changed for one family.
type opened struct {
	// Links are the interfaces of others that had no forwarding before, where each has a switch.
	Links []string
	// All tells that there is one switch alone, and that it was turned on; Kept are the interfaces that had forwarding.
	All  bool
	Kept []string
	// Changed are the settings in the order of their change.
	Changed []setting
}

// setting is a file below /proc/sys/net.
type setting struct{ Path, Old, New string }

const (
	conf4 = "/proc/sys/net/ipv4/conf"
	conf6 = "/proc/sys/net/ipv6/conf"
)

// hasSwitches tells whether each interface has a switch of its own for IPv6.
func hasSwitches() bool { return get(filepath.Join(conf6, "all/force_forwarding")) != "" }

// get returns a setting of the kernel's, or "" when there is no such one.
func get(path string) string {
	value, _ := os.ReadFile(path)
	return strings.TrimSpace(string(value))
}

// set changes a setting of the kernel's; a kernel without that protocol, or an interface that has gone, has none.
func set(path, value string) error {
	if err := os.WriteFile(path, []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("switching forwarding: %w", err)
	}
	return nil
}

// plan adds what has to change for the given interfaces; nothing where the host forwards by itself.
func (f *forwarding) plan(links []string, v4, v6 bool) {
	if v4 {
		f.V4.planEach(links, conf4, "forwarding")
	}
	switch {
	case !v6:
	case hasSwitches():
		f.V6.planEach(links, conf6, "force_forwarding")
	default:
		f.V6.planAll(links)
	}
}

// planEach turns on each interface's own switch.
func (o *opened) planEach(links []string, conf, name string) {
	if get(filepath.Join(conf, "all/forwarding")) == "1" {
		// Somebody else has turned on all of them, maybe since: it is not ours to turn off.
		*o = opened{}
		return
	}
	for _, link := range links {
		s := setting{filepath.Join(conf, link, name), "0", "1"}
		if !slices.Contains(o.Links, link) && get(s.Path) == s.Old {
			o.Links, o.Changed = append(o.Links, link), append(o.Changed, s)
		}
	}
}

// planAll turns on the one switch there is. Interfaces that forward take no router advertisements unless accept_ra is 2,
// and lose the routes that they had from them.
func (o *opened) planAll(links []string) {
	all := filepath.Join(conf6, "all/forwarding")
	if o.All || get(all) != "0" {
		return
	}
	o.All = true
	for _, link := range append([]string{"default"}, links...) {
		forwards, advertisements := filepath.Join(conf6, link, "forwarding"), filepath.Join(conf6, link, "accept_ra")
		switch {
		case get(forwards) == "1":
			o.Kept = append(o.Kept, link)
			o.Changed = append(o.Changed, setting{forwards, "1", "1"})
		case get(advertisements) == "1":
			o.Changed = append(o.Changed, setting{advertisements, "1", "2"})
		}
	}
	o.Changed = append(o.Changed, setting{all, "0", "1"})
}

// open makes what is planned so.
func (f *forwarding) open() error {
	for _, s := range append(slices.Clone(f.V4.Changed), f.V6.Changed...) {
		if err := set(s.Path, s.New); err != nil {
			return err
		}
	}
	return nil
}

// close undoes what was changed for families that no guest needs any more.
func (f *forwarding) close(v4, v6 bool) error {
	var errs []error
	if !v4 {
		errs = append(errs, f.V4.close(conf4))
	}
	if !v6 {
		errs = append(errs, f.V6.close(conf6))
	}
	return errors.Join(errs...)
}

// close goes back from the last change to the first. What somebody else has changed since is theirs.
func (o *opened) close(conf string) error {
	on := get(filepath.Join(conf, "all/forwarding")) == "1"
	if on != o.All {
		*o = opened{}
	}
	for _, s := range slices.Backward(o.Changed) {
		if o.All || get(s.Path) == s.New {
			if err := set(s.Path, s.Old); err != nil {
				return err
			}
		}
	}
	*o = opened{}
	return nil
}

// letIn lets the host forward what comes from a TAP. The settings go with it.
func (t *tap) letIn() error {
	if !t.NAT {
		return nil
	}
	err := set(filepath.Join(conf4, t.Name, "forwarding"), "1")
	if hasSwitches() {
		err = errors.Join(err, set(filepath.Join(conf6, t.Name, "force_forwarding"), "1"))
	}
	return err
}
