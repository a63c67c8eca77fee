// Package units is what systemd knows of VMs: how their units are, what they wait for and why they failed.
// It asks over D-Bus, as anybody may.
package units

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
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
