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
	// dropped is how often in a row nobody was served either.
	dropped int
}

// wait waits until the host may be asked again, or the VM may be up. However long others' starts take, there is something
// to wait for. The error is that of a VM that others had started and that has failed, or busy, where nobody is served.
// Where systemd cannot be asked, that seems so.
func (q *queue) wait(busy error) error {
	time.Sleep(pause)
	q.dropped++
	ctx := context.Background()
	if m, err := units.Connect(ctx); err == nil {
		defer m.Close()
		state, serving := m.OnDemand(ctx, q.name)
		if state == "starting" {
			q.dropped = 0
			return q.watch(ctx, m)
		} else if serving {
			q.dropped = 0
		}
	}
	if q.dropped == maxDropped {
		return busy
	}
	return nil
}

// watch waits for the end of the VM's start. The host is not asked meanwhile: it would start one anew that has failed.
func (q *queue) watch(ctx context.Context, m *units.Manager) error {
	state := "starting"
	for state == "starting" {
		time.Sleep(pause)
		state, _ = m.OnDemand(ctx, q.name)
	}
	if state == "failed" || state == "stopped" {
		return notStarted(q.name, fmt.Sprintf("VM %q could not be started; to see why: vmsilo why %s", q.name, q.name))
	}
	return nil
}
