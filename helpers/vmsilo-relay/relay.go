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
	"vmsilo/internal/protocol"
	"vmsilo/internal/vsock"
)

const (
	// maxOpen is how many connections there may be at a time, which is how many programs a guest runs.
	maxOpen = 512
	// farewell is how long the last bytes may take to their readers when the relay is to end.
	farewell = 500 * time.Millisecond
	// patience is how long a guest may take to answer; an emulated one that boots other things is slow.
	patience = 30 * time.Second
)

type relay struct {
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
	all  sync.WaitGroup
}

// serve carries what comes to a listener, until nothing does for a while.
func (r *relay) serve(listener *net.UnixListener, idle time.Duration) error {
	// Nothing else holds the socket, which Go closes when it collects what is not held.
	defer runtime.KeepAlive(listener)
	var err error
	if r.events, err = newEvents(); err != nil {
		return err
	}
	r.open = map[int32]*connection{}
	if r.listener, err = descriptor(listener); err != nil {
		return err
	}
	if err := r.events.watch(r.listener, pending, unix.EPOLLIN); err != nil {
		return err
	}
	return r.loop(idle)
}

// descriptor returns the file descriptor of a socket, which stays the socket's.
func descriptor(socket syscall.Conn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	return fd, raw.Control(func(f uintptr) { fd = int(f) })
}

func (r *relay) loop(idle time.Duration) error {
	for {
		timeout := idle
		if r.count() > 0 {
			timeout = -1
		}
		happened, err := r.events.wait(timeout)
		if err != nil || len(happened) == 0 {
			return err
		}
		for _, event := range happened {
			switch event.Fd {
			case ended:
				r.events.takeEnded()
			case asked:
				r.drain()
				return nil
			case pending:
				if err := r.take(); err != nil {
					return err
				}
			default:
				r.hangUp(event.Fd)
			}
		}
	}
}

// take takes the next one who waits.
func (r *relay) take() error {
	client, err := r.accept()
	if err != nil || client == nil {
		return err
	}
	if r.count() == maxOpen {
		refuse(client, fmt.Sprintf("%d programs are running in VM %q already", maxOpen, r.vm))
		return nil
	}
	return r.begin(client)
}

// accept returns the next connection, or nil where there is none by now.
func (r *relay) accept() (*net.UnixConn, error) {
	fd, _, err := unix.Accept4(r.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
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

// begin begins to carry a connection.
func (r *relay) begin(client *net.UnixConn) error {
	fd, err := descriptor(client)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	id, c := r.next, &connection{client: client}
	// A client that hangs up is seen while the guest takes nothing of what it has sent, too.
	if err := r.events.watch(fd, id, unix.EPOLLRDHUP|unix.EPOLLONESHOT); err != nil {
		return err
	}
	r.open[id] = c
	r.all.Add(1)
	go func() {
		defer r.end(id)
		guest, err := r.reach(c)
		if err != nil {
			refuse(client, err.Error())
			return
		}
		defer guest.Close()
		c.carry(guest)
	}()
	return nil
}

// reach connects to the guest, unless the client has left by then. The error is for the client.
func (r *relay) reach(c *connection) (*net.UnixConn, error) {
	if _, err := os.Stat(r.paused); err == nil {
		return nil, fmt.Errorf("VM %q is paused", r.vm)
	}
	deadline := time.Now().Add(r.patience)
	r.door.Lock()
	wait := time.Until(deadline)
	if c.hasLeft() || wait <= 0 {
		r.door.Unlock()
		return nil, fmt.Errorf("VM %q cannot run it: its vsock device is busy", r.vm)
	}
	guest, err := dial.Unix(r.device, wait)
	r.door.Unlock()
	if errors.Is(err, unix.EAGAIN) {
		return nil, fmt.Errorf("VM %q cannot run it: its vsock device is busy", r.vm)
	} else if err != nil {
		return nil, fmt.Errorf("VM %q does not run", r.vm)
	}
	err = errors.Join(guest.SetDeadline(deadline), vsock.Ask(guest, protocol.ProgramPort), guest.SetDeadline(time.Time{}))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the guest has not answered for %v", r.patience)
	}
	if err != nil {
		guest.Close()
		return nil, fmt.Errorf("VM %q cannot run it: %w", r.vm, err)
	}
	return guest, nil
}

// end forgets a connection.
func (r *relay) end(id int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, id)
	r.all.Done()
	if len(r.open) == 0 {
		r.events.tellEnded()
	}
}

// hangUp ends a connection whose client has.
func (r *relay) hangUp(id int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.open[id]; ok {
		c.leave()
	}
}

func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// drain waits until what was still to be carried has been, but for no reader who takes long.
func (r *relay) drain() {
	done := make(chan struct{})
	go func() {
		r.all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(farewell):
	}
}
