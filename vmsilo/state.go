package main

import (
	"context"
	"time"

	"vmsilo/vmsilo/units"
)

// stateOf returns how a VM is by systemd, or the zero State where that cannot be asked.
var stateOf = func(name string) units.State {
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	m, err := units.Connect(ctx)
	if err != nil {
		return units.State{}
	}
	defer m.Close()
	state, _ := m.State(ctx, name)
	return state
}

// maxEnd is how long a VM may take to be seen as ended after what it was connected by has.
const maxEnd = 2 * time.Second

// stays returns how a VM is after a connection to it has ended, and whether it goes on running. What a VM that ends was
// connected by ends a moment before it does.
func stays(name string) (state units.State, running bool) {
	for deadline := time.Now().Add(maxEnd); ; time.Sleep(100 * time.Millisecond) {
		state = stateOf(name)
		if state.Word != "running" || time.Now().After(deadline) {
			return state, state.Word == "running"
		}
	}
}
