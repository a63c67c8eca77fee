package main

import (
	"context"
	"fmt"
	"time"

	"vmsilo/vmsilo/units"
)

// maxDropped is how often in a row a host is asked that drops who asks, and that starts nothing for anybody.
const maxDropped = 10

// pause is the time between.
var pause = time.Second

// queue is the wait of one whom the host drops, as it does when too many ask.
type queue struct {
	name string
	// dropped is how often in a row nobody was served either, starting whether the VM was seen to be.
	dropped  int
	starting bool
}

// wait waits until the host may be asked again, or the VM may be up. However long others' starts take, there is something
// to wait for. The error is that of a VM that others had started and that has failed, or busy, where nobody is served.
func (q *queue) wait(busy error) error {
	time.Sleep(pause)
	state, serving := q.look()
	if q.starting && (state == "failed" || state == "stopped") {
		return notStarted(q.name, fmt.Sprintf("VM %q could not be started; to see why: vmsilo why %s", q.name, q.name))
	}
	q.starting = state == "starting"
	q.dropped++
	if q.starting || serving {
		q.dropped = 0
	}
	if q.dropped == maxDropped {
		return busy
	}
	return nil
}

// look returns how the VM is, and whether the host starts any VM for somebody who has asked. Where systemd cannot be asked,
// that is nothing, and no.
func (q *queue) look() (state string, serving bool) {
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	m, err := units.Connect(ctx)
	if err != nil {
		return "", false
	}
	defer m.Close()
	return m.OnDemand(ctx, q.name)
}
