package main

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

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
	if c.left {
		return false
	}
	if handover.Give(c.client, guest) != nil {
		// As if it had left, of which there is news: it hears of this, too.
		_ = errors.Join(c.client.CloseRead(), c.client.CloseWrite())
	}
	return true
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

// part ends both sides. The guest's is shut down, since the client may have kept what it was given, and read from for some
// time: of a socket that is closed with bytes in it, vhost-device-vsock 0.3 tells the guest nothing, and the program would
// run on.
func (c *connection) part() {
	c.client.Close()
	defer c.guest.Close()
	_ = c.guest.CloseWrite()
	_ = c.guest.SetReadDeadline(time.Now().Add(handover.Parting))
	raw, err := c.guest.SyscallConn()
	if err != nil {
		return
	}
	discarded := make([]byte, 64<<10)
	for n := 1; n > 0 && err == nil; {
		waited := raw.Read(func(fd uintptr) bool {
			// The client may have made the socket, which is its own as well, one that blocks.
			n, _, err = unix.Recvfrom(int(fd), discarded, unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN)
		})
		err = errors.Join(err, waited)
	}
}
