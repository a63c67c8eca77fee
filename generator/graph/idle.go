package graph

import (
	"time"

	"vmsilo/generator/machine"
)

// brokerIdle is how long a broker stays to whom nobody is connected: --idle of vmsilo-run.
const brokerIdle = 5 * time.Second

// idle returns the drop-in of the timer that has a VM stopped which was started on demand, and which runs while the broker
// does not. It comes beside the template's, which never comes.
func idle(m *machine.Machine) File {
	span := max(m.IdleStop.Duration-brokerIdle, time.Second).String()
	clock := newDropin("vmsilo-idle@" + m.Name + ".timer")
	clock.set("Timer", "OnActiveSec", span)
	return clock.file()
}
