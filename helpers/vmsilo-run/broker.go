package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/dial"
	"vmsilo/internal/handover"
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
	// listener is the socket's file descriptor.
	listener int
	events   *events
	// door is held by who connects to the device: one thread waits there, should its queue be full.
	door sync.Mutex

	mu   sync.Mutex
	open map[int32]*connection
	next int32
	// busy are those of which there is something to do: to reach the guest, or to part from it.
	busy sync.WaitGroup
}

// serve takes who comes to a listener, until nobody does for a while.
func (b *broker) serve(listener *net.UnixListener, idle time.Duration) error {
	// Nothing else holds the socket, which Go closes when it collects what is not held.
	defer runtime.KeepAlive(listener)
	var err error
	if b.events, err = newEvents(); err != nil {
		return err
	}
	b.open = map[int32]*connection{}
	if b.listener, err = descriptor(listener); err != nil {
		return err
	}
	if err := b.events.watch(b.listener, pending, unix.EPOLLIN); err != nil {
		return err
	}
	return b.loop(idle)
}

// descriptor returns the file descriptor of a socket, which stays the socket's.
func descriptor(socket syscall.Conn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	return fd, raw.Control(func(f uintptr) { fd = int(f) })
}

func (b *broker) loop(idle time.Duration) error {
	for {
		timeout := idle
		if b.count() > 0 {
			timeout = -1
		}
		happened, err := b.events.wait(timeout)
		if err != nil || len(happened) == 0 {
			return err
		}
		last := false
		for _, event := range happened {
			switch event.Fd {
			case ended:
				b.events.takeEnded()
			case asked:
				last = true
			case pending:
				if err := b.take(); err != nil {
					return err
				}
			default:
				b.hangUp(event.Fd)
			}
		}
		if last {
			b.drain()
			return nil
		}
	}
}

// take takes the next one who waits.
func (b *broker) take() error {
	client, err := b.accept()
	if err != nil || client == nil {
		return err
	}
	if b.count() == maxOpen {
		refuse(client, fmt.Errorf("%d programs are running in VM %q already", maxOpen, b.vm))
		return nil
	}
	return b.begin(client)
}

// accept returns the next connection, or nil where there is none by now.
func (b *broker) accept() (*net.UnixConn, error) {
	fd, _, err := unix.Accept4(b.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("accepting a connection: %w", err)
	}
	file := os.NewFile(uintptr(fd), "client")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("accepting a connection: %w", err)
	}
	return conn.(*net.UnixConn), nil
}

// begin begins to reach the guest for a client.
func (b *broker) begin(client *net.UnixConn) error {
	fd, err := descriptor(client)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id, c := b.next, &connection{client: client}
	// A client that hangs up is seen whatever it has sent, which nobody reads.
	if err := b.events.watch(fd, id, unix.EPOLLRDHUP|unix.EPOLLONESHOT); err != nil {
		return err
	}
	b.open[id] = c
	b.busy.Add(1)
	go func() {
		defer b.busy.Done()
		guest, err := b.reach(c)
		switch {
		case err != nil:
			refuse(client, err)
			b.forget(id)
		case !c.give(guest):
			c.part()
			b.forget(id)
		}
	}()
	return nil
}

// refuse tells a client why it gets no connection, and closes.
func refuse(client *net.UnixConn, reason error) {
	// Who is gone by now needs no answer.
	_ = handover.Refuse(client, reason)
	client.Close()
}

// reach connects to the guest, unless the client has left by then. The error is for the client.
func (b *broker) reach(c *connection) (*net.UnixConn, error) {
	if _, err := os.Stat(b.paused); err == nil {
		return nil, fmt.Errorf("VM %q is paused", b.vm)
	}
	deadline := time.Now().Add(b.patience)
	b.door.Lock()
	wait := time.Until(deadline)
	if c.hasLeft() || wait <= 0 {
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

// hangUp parts from the guest for a client that has left.
func (b *broker) hangUp(id int32) {
	b.mu.Lock()
	c, ok := b.open[id]
	b.mu.Unlock()
	if !ok || !c.leave() {
		return
	}
	b.busy.Add(1)
	go func() {
		defer b.busy.Done()
		c.part()
		b.forget(id)
	}()
}

// forget makes room for another connection.
func (b *broker) forget(id int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, id)
	if len(b.open) == 0 {
		b.events.tellEnded()
	}
}

func (b *broker) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

// drain waits until who has left has parted, but not for long. Who has not will hear of it by the end of its connection.
func (b *broker) drain() {
	done := make(chan struct{})
	go func() {
		b.busy.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(farewell):
	}
}
