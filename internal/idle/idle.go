// Package idle ends the wait of a server, which its socket has started, when it has had nothing to do for long enough.
package idle

import (
	"sync"
	"time"
)

// Listener is what a server waits at. Past the deadline the wait fails with os.ErrDeadlineExceeded.
type Listener interface{ SetDeadline(time.Time) error }

// Load counts what a server does at a time. It is safe for concurrent use.
type Load struct {
	listener Listener
	rest     time.Duration

	mu      sync.Mutex
	running int
}

// New returns a Load of nothing, and from now on has the deadline of the listener be when there has been nothing for so long.
func New(listener Listener, rest time.Duration) *Load {
	l := &Load{listener: listener, rest: rest}
	l.Add(0)
	return l
}

// Add counts n more, or fewer, and returns how many there are by now.
func (l *Load) Add(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running += n
	var deadline time.Time
	if l.running == 0 {
		deadline = time.Now().Add(l.rest)
	}
	// That it fails means that the listener is closed, of which who waits there hears.
	_ = l.listener.SetDeadline(deadline)
	return l.running
}
