// Package vmunit knows the names of a VM's units, and what these say of the VM.
package vmunit

import (
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

// Of returns the unit of a VM.
func Of(vm string) string { return "vmsilo@" + vm + ".service" }

// Control returns the unit that controls a VM's VMM.
func Control(vm string) string { return "vmsilo-vmm@" + vm + ".service" }

// Paused is the status of that unit while the VM is paused.
const Paused = "paused"

// Slice returns the slice of a VM.
func Slice(vm string) string { return "vmsilo-" + unit.UnitNameEscape(vm) + ".slice" }

// Patterns are the names of the units of VMs, of which vm is one or *. The first is that of the VM itself.
func Patterns(vm string) []string {
	return []string{Of(vm), "vmsilo-*@" + vm + ".*", "vmsilo-*@" + vm + ":*"}
}

// Split returns the VM of a unit, and which part of it this is: "" for the VM itself, and "share home" for
// vmsilo-share@NAME:home.socket.
func Split(name string) (vm, part string) {
	prefix, instance, _ := strings.Cut(name, "@")
	instance = instance[:max(0, strings.LastIndexByte(instance, '.'))]
	vm, of, _ := strings.Cut(instance, ":")
	part = strings.TrimPrefix(strings.TrimPrefix(prefix, "vmsilo"), "-")
	if of != "" {
		part += " " + of
	}
	return vm, part
}

// Keeps reports whether a VM needs a part to run: the others start it, clean up, tell of it, or are ways to it.
func Keeps(part string) bool {
	word, _, _ := strings.Cut(part, " ")
	switch word {
	case "down", "lost", "idle", "demand", "run", "console", "vmm", "machine":
		return false
	}
	return true
}

// Word tells the state of a VM by its unit: "running", "starting", "stopping", "stopped", "failed" or "masked". starts tells
// that a job will start it: one that waits for its parts is inactive.
func Word(loadState, activeState string, starts bool) string {
	switch {
	case activeState == "active" || activeState == "reloading" || activeState == "refreshing":
		return "running"
	case activeState == "activating" || starts:
		return "starting"
	case activeState == "deactivating":
		return "stopping"
	case loadState == "masked":
		return "masked"
	case activeState == "failed":
		return "failed"
	default:
		return "stopped"
	}
}

// Since names the property of a unit that says when it became what Word tells; for "masked" there is none.
var Since = map[string]string{
	"running":  "ActiveEnterTimestamp",
	"starting": "InactiveExitTimestamp",
	"stopping": "ActiveExitTimestamp",
	"stopped":  "InactiveEnterTimestamp",
	"failed":   "InactiveEnterTimestamp",
}
