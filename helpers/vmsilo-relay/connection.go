package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"vmsilo/internal/protocol"
)

// parting is how long a guest may take to close a connection that the client has closed.
const parting = 3 * time.Second

// connection is one that is carried, or will be as soon as the guest is reached.
type connection struct {
	client *net.UnixConn

	mu sync.Mutex
	// guest is nil until the guest has answered: vhost-device-vsock 0.3 does not bear a host that hangs up before that.
	guest *net.UnixConn
	left  bool
}

// leave ends it towards both sides; what is on its way to the client stays to be read.
func (c *connection) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	c.left = true
	c.client.Close()
	if c.guest != nil {
		c.part()
	}
}

// hasLeft tells whether the client has.
func (c *connection) hasLeft() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// attach makes conn the guest's side.
func (c *connection) attach(conn *net.UnixConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guest = conn
	if c.left {
		c.part()
	}
}

// part ends the guest's side, which stays open to be read from, for some time: of a socket that is closed with bytes in
// it, vhost-device-vsock 0.3 tells the guest nothing, and the program would run on.
func (c *connection) part() {
	_ = c.guest.CloseWrite()
	// Who waits to write there waits no more.
	_ = c.guest.SetWriteDeadline(time.Now())
	_ = c.guest.SetReadDeadline(time.Now().Add(parting))
}

// carry carries bytes to a guest and back until both sides have ended. How they end is for themselves to say.
func (c *connection) carry(guest *net.UnixConn) {
	c.attach(guest)
	var back sync.WaitGroup
	back.Add(1)
	go func() {
		defer back.Done()
		// A guest that takes no more may have closed: what it has said by then is still to reach the client.
		if err := splice(guest, c.client); !errors.Is(err, errNotTaken) {
			c.leave()
		}
	}()
	_ = splice(c.client, guest)
	c.leave()
	back.Wait()
	// What the guest still says, until it has closed, too.
	_, _ = io.Copy(io.Discard, guest)
}

// refuse tells a client, in the guest's place, why there is no program, and closes.
func refuse(client *net.UnixConn, text string) {
	defer client.Close()
	// A client that is gone by now needs no answer, and the buffer of one that is there is empty: this does not wait.
	if w, err := protocol.NewWriter(client); err == nil {
		_ = w.Write(protocol.Failed, (&protocol.Failure{Code: protocol.NotRun, Text: text}).Marshal())
	}
}
