package units

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"vmsilo/internal/vmunit"
)

// State is how a VM is.
type State struct {
	// Word is that of vmunit.Word.
	Word string
	// Paused tells that it runs, and that its guest stands still.
	Paused bool
	// Since is when it became that, or zero.
	Since time.Time
}

// State returns the state of one VM.
func (m *Manager) State(ctx context.Context, vm string) (State, error) {
	units, err := m.ListUnitsByNamesContext(ctx, []string{vmunit.Of(vm)})
	if err != nil || len(units) != 1 {
		return State{}, err
	}
	s := State{Word: word(units[0])}
	if property := vmunit.Since[s.Word]; property != "" {
		s.Since = m.timestamp(ctx, units[0].Name, property)
	}
	if s.Word == "running" {
		// vmsilo-vmm says so, for as long as it is so.
		s.Paused = m.Says(ctx, vmunit.Control(vm)) == vmunit.Paused
	}
	return s, nil
}

// Says returns what a service that runs says of itself, or "". systemd keeps that beyond the service's end.
func (m *Manager) Says(ctx context.Context, service string) string {
	status, _ := get[string](ctx, m, service, "Service", "StatusText")
	if status == "" {
		return ""
	}
	if active, _ := get[string](ctx, m, service, "Unit", "ActiveState"); active != "active" {
		return ""
	}
	return status
}

// OnDemand returns the Word of a VM's state, and whether any VM is being started for somebody who has asked for it. Where
// systemd does not answer, these are "" and false.
func (m *Manager) OnDemand(ctx context.Context, vm string) (state string, serving bool) {
	listed, err := m.ListUnitsByPatternsContext(ctx, nil, []string{vmunit.Of(vm), "vmsilo-demand@*.service"})
	if err != nil {
		return "", false
	}
	state = "stopped"
	for _, u := range listed {
		if u.Name == vmunit.Of(vm) {
			state = word(u)
		} else if u.ActiveState == "active" {
			serving = true
		}
	}
	return state, serving
}

func word(u dbus.UnitStatus) string {
	return vmunit.Word(u.LoadState, u.ActiveState, u.JobType == "start" || u.JobType == "restart")
}
