package graph

import (
	"time"

	"vmsilo/generator/machine"
)

// relayIdle is how long a relay stays that has nothing to carry: --idle of vmsilo-relay.
const relayIdle = 5 * time.Second

// idleDropin is not dropinName: a file of that name would take the place of the drop-in of all of the VM's services, and
// the slice with it.
const idleDropin = "60-vmsilo-idle.conf"

// idle returns what has a VM that was started on demand stopped: a timer that runs while the relay does not.
func idle(m *machine.Machine) []File {
	if m.IdleStop.Infinite {
		return nil
	}
	timer := "vmsilo-idle@" + m.Name + ".timer"
	relay := newNamedDropin("vmsilo-run@"+m.Name+".service", idleDropin)
	relay.set("Unit", "Conflicts", timer)
	for _, end := range []string{"OnSuccess", "OnFailure"} {
		relay.set("Unit", end, timer)
		// A start of the relay that is queued by then wins.
		relay.set("Unit", end+"JobMode", "fail")
	}
	span := max(m.IdleStop.Duration-relayIdle, time.Second).String()
	clock := newDropin(timer)
	clock.set("Timer", "OnActiveSec", span)
	clock.set("Timer", "OnUnitInactiveSec", span)
	return []File{relay.file(), clock.file()}
}
