package main

import (
	"maps"
	"slices"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/internal/vmunit"
)

// unit is what systemd says of a VM's unit, of a part that has failed, or of what controls a VM that is paused. Times are in microseconds since 1970, 0 where there
// was none.
type unit struct {
	load, active, sub string
	// starts tells that a job is to start it.
	starts  bool
	mainPID uint32
	// status is what it says of itself.
	status string
	times  map[string]uint64
}

// news are units that are no longer what they were, by their names. One that is gone is nil, and with all every one that is
// not named is.
type news struct {
	all   bool
	units map[string]*unit
}

// units are the units of VMs, by VM and name.
type units map[string]map[string]*unit

// add adds news, and returns the VMs that they are about.
func (u units) add(n news) []string {
	concerned := map[string]bool{}
	if n.all {
		for vm := range u {
			concerned[vm] = true
		}
		clear(u)
	}
	for name, is := range n.units {
		vm, _ := vmunit.Split(name)
		concerned[vm] = true
		switch {
		case is == nil:
			delete(u[vm], name)
		case u[vm] == nil:
			u[vm] = map[string]*unit{name: is}
		default:
			u[vm][name] = is
		}
		if len(u[vm]) == 0 {
			delete(u, vm)
		}
	}
	return slices.Sorted(maps.Keys(concerned))
}

// of returns the unit of a VM; one that systemd has not loaded is inactive.
func (u units) of(vm string) unit {
	if is := u[vm][vmunit.Of(vm)]; is != nil {
		return *is
	}
	return unit{active: "inactive", sub: "dead"}
}

// state returns the word for the state of a VM, and since when that is so. A VM whose part has failed was not started itself.
func (u units) state(vm string) (word string, since uint64) {
	of := u.of(vm)
	word = vmunit.Word(of.load, of.active, of.starts)
	since = of.times[vmunit.Since[word]]
	if control := u[vm][vmunit.Control(vm)]; word == "running" && control != nil && control.isPaused() {
		return "paused", since
	}
	if word != "stopped" {
		return word, since
	}
	for name, part := range u[vm] {
		ended := part.times[vmunit.Since["failed"]]
		if keeps(name) && part.active == "failed" && (word == "stopped" || ended < since) {
			word, since = "failed", ended
		}
	}
	return word, since
}

func (u *unit) isPaused() bool { return u.active == "active" && u.status == vmunit.Paused }

// interests tells whether a unit is in a state that makes out the VM's.
func (u *unit) interests(name string) bool {
	vm, part := vmunit.Split(name)
	return part == "" || keeps(name) && u.active == "failed" || name == vmunit.Control(vm) && u.isPaused()
}

// keeps tells whether a unit is a part that its VM needs.
func keeps(name string) bool {
	_, part := vmunit.Split(name)
	return part != "" && vmunit.Keeps(part)
}

// matters tells whether a unit is a VM's, a part that it needs, or what controls it.
func matters(name string) bool {
	vm, part := vmunit.Split(name)
	if !strings.HasPrefix(name, "vmsilo") || !strings.Contains(name, "@") || !config.IsName(vm) {
		return false
	}
	return part != "" && vmunit.Keeps(part) || name == vmunit.Of(vm) || name == vmunit.Control(vm)
}
