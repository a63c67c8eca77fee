package units

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// State is how a VM is.
type State struct {
	// Word is "running", "starting", "stopping", "stopped", "failed" or "masked".
	Word string
	// Paused tells that it runs, and that its guest stands still.
	Paused bool
	// Since is when it became what Word says, or zero.
	Since time.Time
	// Memory is what all of its units take in bytes, or 0 where that is not known.
	Memory uint64
}

// States returns the state of each VM of which a unit is loaded, by name.
func (m *Manager) States(ctx context.Context) (map[string]State, error) {
	loaded, err := m.ListUnitsByPatternsContext(ctx, nil, []string{Of("*")})
	if err != nil {
		return nil, err
	}
	failed, err := m.ListUnitsByPatternsContext(ctx, []string{"failed"}, patterns("*")[1:])
	if err != nil {
		return nil, err
	}
	units := map[string]dbus.UnitStatus{}
	for _, u := range loaded {
		vm, _ := split(u.Name)
		units[vm] = u
	}
	for _, u := range failed {
		// A VM whose part has failed was not started itself.
		if vm, part := split(u.Name); keeps(part) && word(units[vm]) == "stopped" {
			units[vm] = u
		}
	}
	return m.details(ctx, units), nil
}

// maxCalls is how many calls are under way at once. systemd answers one after the other; this saves the way there.
const maxCalls = 16

// details asks for all that a list of units does not tell. What ends meanwhile has no details.
func (m *Manager) details(ctx context.Context, units map[string]dbus.UnitStatus) map[string]State {
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, maxCalls)
	states := make(map[string]State, len(units))
	for vm, u := range units {
		slots <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			s := m.state(ctx, vm, u)
			mu.Lock()
			states[vm] = s
			mu.Unlock()
			<-slots
		}()
	}
	group.Wait()
	return states
}

// State returns the state of one VM.
func (m *Manager) State(ctx context.Context, vm string) (State, error) {
	units, err := m.ListUnitsByNamesContext(ctx, []string{Of(vm)})
	if err != nil || len(units) != 1 {
		return State{}, err
	}
	return m.state(ctx, vm, units[0]), nil
}

// OnDemand returns the Word of a VM's state, and whether any VM is being started for somebody who has asked for it. Where
// systemd does not answer, these are "" and false.
func (m *Manager) OnDemand(ctx context.Context, vm string) (state string, serving bool) {
	listed, err := m.ListUnitsByPatternsContext(ctx, nil, []string{Of(vm), "vmsilo-demand@*.service"})
	if err != nil {
		return "", false
	}
	state = "stopped"
	for _, u := range listed {
		if u.Name == Of(vm) {
			state = word(u)
		} else if u.ActiveState == "active" {
			serving = true
		}
	}
	return state, serving
}

func (m *Manager) state(ctx context.Context, vm string, u dbus.UnitStatus) State {
	s := State{Word: word(u)}
	if property := since[s.Word]; property != "" {
		s.Since = m.timestamp(ctx, u.Name, property)
	}
	if s.Word == "running" {
		// vmsilo-vmm says so, for as long as it is so. systemd keeps what a service has said beyond its end.
		control := "vmsilo-vmm@" + vm + ".service"
		if status, _ := get[string](ctx, m, control, "Service", "StatusText"); status == "paused" {
			active, _ := get[string](ctx, m, control, "Unit", "ActiveState")
			s.Paused = active == "active"
		}
	}
	if s.Word == "running" || s.Word == "starting" || s.Word == "stopping" {
		if memory, err := get[uint64](ctx, m, Slice(vm), "Slice", "MemoryCurrent"); err == nil && memory != math.MaxUint64 {
			s.Memory = memory
		}
	}
	return s
}

// since names the property of a unit that says when it became what it is.
var since = map[string]string{
	"running":  "ActiveEnterTimestamp",
	"starting": "InactiveExitTimestamp",
	"stopping": "ActiveExitTimestamp",
	"stopped":  "InactiveEnterTimestamp",
	"failed":   "InactiveEnterTimestamp",
}

// word tells the state of a unit. One that waits for its parts is inactive and has a job.
func word(u dbus.UnitStatus) string {
	switch {
	case u.ActiveState == "active" || u.ActiveState == "reloading" || u.ActiveState == "refreshing":
		return "running"
	case u.ActiveState == "activating" || u.JobType == "start" || u.JobType == "restart":
		return "starting"
	case u.ActiveState == "deactivating":
		return "stopping"
	case u.LoadState == "masked":
		return "masked"
	case u.ActiveState == "failed":
		return "failed"
	default:
		return "stopped"
	}
}
