package protocol

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// Credit is how many bytes of Stdin the host may send. It is safe for concurrent use.
type Credit struct {
	mu   sync.Mutex
	more sync.Cond
	left int
}

// NewCredit returns what there is at first.
func NewCredit() *Credit {
	c := &Credit{left: InitialWindow}
	c.more.L = &c.mu
	return c
}

// Add takes the payload of a Window frame. A guest that gives more than it may is malformed.
func (c *Credit) Add(payload []byte) error {
	n := binary.BigEndian.Uint32(payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if uint64(n)+uint64(c.left) > InitialWindow {
		return fmt.Errorf("%w: a window of %d bytes more than was used", ErrMalformed, uint64(n)+uint64(c.left)-InitialWindow)
	}
	c.left += int(n)
	c.more.Signal()
	return nil
}

// await waits for some credit, and returns how much of it there is, most at most.
func (c *Credit) await(most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left == 0 {
		c.more.Wait()
	}
	return min(c.left, most)
}

func (c *Credit) use(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left -= n
}

// WindowPayload returns the payload of a Window frame for n bytes.
func WindowPayload(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
