// Package units is what systemd knows of VMs: how their units are, what they wait for and why they failed.
// It asks over D-Bus, as anybody may.
package units

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"github.com/coreos/go-systemd/v22/unit"
)

// Manager is a connection to systemd. It is safe for concurrent use.
type Manager struct{ *dbus.Conn }

// Connect connects to systemd over the system bus; for root it will do without the bus.
func Connect(ctx context.Context) (*Manager, error) {
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking systemd over D-Bus: %w", err)
	}
	return &Manager{conn}, nil
}

// Of returns the unit of a VM.
func Of(vm string) string { return "vmsilo@" + vm + ".service" }

// Slice returns the slice of a VM.
func Slice(vm string) string { return "vmsilo-" + unit.UnitNameEscape(vm) + ".slice" }

// patterns are the names of the units of VMs, of which vm is one or *.
func patterns(vm string) []string {
	return []string{Of(vm), "vmsilo-*@" + vm + ".*", "vmsilo-*@" + vm + ":*"}
}

// split returns the VM of a unit, and which part of it this is: "" for the VM itself, and "share home" for
// vmsilo-share@NAME:home.socket.
func split(name string) (vm, part string) {
	prefix, instance, _ := strings.Cut(name, "@")
	instance = instance[:max(0, strings.LastIndexByte(instance, '.'))]
	vm, of, _ := strings.Cut(instance, ":")
	part = strings.TrimPrefix(strings.TrimPrefix(prefix, "vmsilo"), "-")
	if of != "" {
		part += " " + of
	}
	return vm, part
}

// keeps reports whether a VM needs a part to run: the others start it, clean up, or are ways to it.
func keeps(part string) bool {
	word, _, _ := strings.Cut(part, " ")
	switch word {
	case "down", "lost", "idle", "demand", "run", "console", "vmm":
		return false
	}
	return true
}

// timestamp returns a property of a unit that is a time, or the zero time where there was none.
func (m *Manager) timestamp(ctx context.Context, unit, property string) time.Time {
	usec, _ := get[uint64](ctx, m, unit, "Unit", property)
	if usec == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(usec))
}

// get returns a property of a unit, or the zero value where there is none.
func get[T any](ctx context.Context, m *Manager, unit, kind, property string) (value T, err error) {
	p, err := m.GetUnitTypePropertyContext(ctx, unit, kind, property)
	if err != nil {
		return value, err
	}
	value, ok := p.Value.Value().(T)
	if !ok {
		return value, fmt.Errorf("systemd has no %s of %s", property, unit)
	}
	return value, nil
}
