package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/dial"
	"vmsilo/internal/handover"
	"vmsilo/internal/idle"
	"vmsilo/internal/protocol"
	"vmsilo/internal/vsock"
)

const (
	// maxOpen is how many connections there may be at a time, which is how many programs a guest runs.
	maxOpen = 512
	// farewell is how long who has left may take to part from the guest when the broker is to end.
	farewell = 500 * time.Millisecond
	// patience is how long a guest may take to answer; an emulated one that boots other things is slow.
	patience = 30 * time.Second
)

type broker struct {
	vm, device, paused string
	// patience is patience, but for tests, which have less.
	patience time.Duration
	// door is held by who connects to the device: one thread waits there, should its queue be full.
	door sync.Mutex
}

// serve takes who comes to a listener, until nobody has been there for so long, or SIGTERM.
func (b *broker) serve(listener *net.UnixListener, rest time.Duration) error {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer cancel()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	load := idle.New(listener, rest)
	var clients sync.WaitGroup
	for {
		client, err := listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			drain(&clients)
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("accepting a connection: %w", err)
		}
		if load.Add(1) > maxOpen {
			load.Add(-1)
			refuse(client, fmt.Errorf("%d programs are running in VM %q already", maxOpen, b.vm))
			continue
		}
		clients.Add(1)
		go func() {
			defer clients.Done()
			defer load.Add(-1)
			b.lead(ctx, client)
		}()
	}
}

// drain waits until who has left has parted from the guest, but not for long.
func drain(clients *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(farewell):
	}
}

// lead leads a client to the guest, and parts from that when the client has left. Who has not when ctx ends hears of it by the
// end of its connection.
func (b *broker) lead(ctx context.Context, client *net.UnixConn) {
	defer client.Close()
	left := hungUp(client)
	guest, err := b.reach(left)
	if err != nil {
		refuse(client, err)
		return
	}
	defer guest.Close()
	if !is(left) && handover.Give(client, guest) == nil {
		select {
		case <-left:
		case <-ctx.Done():
			if !is(left) {
				return
			}
		}
	}
	client.Close()
	part(guest)
}

// refuse tells a client why it gets no connection, and closes.
func refuse(client *net.UnixConn, reason error) {
	// Who is gone by now needs no answer.
	_ = handover.Refuse(client, reason)
	client.Close()
}

// reach connects to the guest, unless the client has left by then. The error is for the client.
func (b *broker) reach(left <-chan struct{}) (*net.UnixConn, error) {
	if _, err := os.Stat(b.paused); err == nil {
		return nil, fmt.Errorf("VM %q is paused", b.vm)
	}
	deadline := time.Now().Add(b.patience)
	b.door.Lock()
	wait := time.Until(deadline)
	if is(left) || wait <= 0 {
		b.door.Unlock()
		return nil, fmt.Errorf("VM %q cannot run it: its vsock device is busy", b.vm)
	}
	guest, err := dial.Unix(b.device, wait)
	b.door.Unlock()
	if errors.Is(err, unix.EAGAIN) {
		return nil, fmt.Errorf("VM %q cannot run it: its vsock device is busy", b.vm)
	} else if err != nil {
		return nil, fmt.Errorf("VM %q does not run", b.vm)
	}
	// vhost-device-vsock 0.3 does not bear a host that hangs up before it has answered, as a client may.
	err = errors.Join(guest.SetDeadline(deadline), vsock.Ask(guest, protocol.ProgramPort), guest.SetDeadline(time.Time{}))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the guest has not answered for %v", b.patience)
	}
	if err != nil {
		guest.Close()
		return nil, fmt.Errorf("VM %q cannot run it: %w", b.vm, err)
	}
	return guest, nil
}
