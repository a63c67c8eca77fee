package graph

import (
	"time"

	"vmsilo/generator/machine"
)

// relayIdle is how long a relay stays that has nothing to carry: --idle of vmsilo-relay.
const relayIdle = 5 * time.Second

// idle returns the drop-in of the timer that has a VM stopped which was started on demand, and which runs while the relay
// does not. It comes beside the template's, which never comes.
func idle(m *machine.Machine) File {
	span := max(m.IdleStop.Duration-relayIdle, time.Second).String()
	clock := newDropin("vmsilo-idle@" + m.Name + ".timer")
	clock.set("Timer", "OnActiveSec", span)
	return clock.file()
}
