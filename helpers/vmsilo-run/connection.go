package main

import (
	"io"
	"net"
	"sync"
	"time"

	"vmsilo/internal/handover"
)

// connection is one to the guest, or will be as soon as the guest is reached.
type connection struct {
	client *net.UnixConn

	mu sync.Mutex
	// guest is nil until the guest has answered: vhost-device-vsock 0.3 does not bear a host that hangs up before that.
	guest *net.UnixConn
	left  bool
}

// give hands the guest's side over to the client, and tells whether that is still there.
func (c *connection) give(guest *net.UnixConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guest = guest
	if !c.left {
		// That it fails is a client's end, of which there is news.
		_ = handover.Give(c.client, guest)
	}
	return !c.left
}

// leave notes that the client has left, and tells whether it has been given the guest's side.
func (c *connection) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	return c.guest != nil
}

// hasLeft tells whether the client has.
func (c *connection) hasLeft() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// part ends both sides. The guest's is read from, for some time: of a socket that is closed with bytes in it,
// vhost-device-vsock 0.3 tells the guest nothing, and the program would run on.
func (c *connection) part() {
	c.client.Close()
	_ = c.guest.CloseWrite()
	_ = c.guest.SetReadDeadline(time.Now().Add(handover.Parting))
	_, _ = io.Copy(io.Discard, c.guest)
	c.guest.Close()
}
