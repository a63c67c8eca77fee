package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

const (
	// maxOpen is how many connections there may be at a time, which is how many programs a guest runs.
	maxOpen = 512
	// farewell is how long the last bytes of a device that has ended may take to their readers.
	farewell = 500 * time.Millisecond
	// parting is how long a guest may take to close a connection that the client has closed.
	parting = 3 * time.Second
)

type relay struct {
	vm, device string
	// listener is the socket's file descriptor.
	listener int
	events   *events

	mu   sync.Mutex
	open map[int32]connection
	next int32
	all  sync.WaitGroup
}

// connection is one that is carried.
type connection struct {
	client, guest *net.UnixConn
	left          *sync.Once
}

// leave ends it towards both sides; what is on its way to the client stays to be read. The guest's side stays open to be
// read from, for some time: of a socket that is closed with bytes in it, vhost-device-vsock 0.3 tells the guest nothing,
// and the program would run on.
func (c connection) leave() {
	c.left.Do(func() {
		c.client.Close()
		_ = c.guest.CloseWrite()
		// Who waits to write there waits no more.
		_ = c.guest.SetWriteDeadline(time.Now())
		_ = c.guest.SetReadDeadline(time.Now().Add(parting))
	})
}

// finish reads what the guest still says, until it has closed, too.
func (c connection) finish() {
	_, _ = io.Copy(io.Discard, c.guest)
	c.guest.Close()
}

// serve carries what comes to a listener, until nothing does for a while.
func serve(listener *net.UnixListener, vm, device string, idle time.Duration) error {
	events, err := newEvents()
	if err != nil {
		return err
	}
	r := &relay{vm: vm, device: device, events: events, open: map[int32]connection{}}
	if r.listener, err = descriptor(listener); err != nil {
		return err
	}
	// This one asks for nothing, and ends when the device does.
	line, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: device, Net: "unix"})
	if err != nil {
		return r.refuseAll(fmt.Sprintf("VM %s could not be started", vm))
	}
	defer line.Close()
	fd, err := descriptor(line)
	if err != nil {
		return err
	}
	if err := errors.Join(events.watch(fd, gone, unix.EPOLLRDHUP), events.watch(r.listener, pending, unix.EPOLLIN)); err != nil {
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
	for worked := false; ; {
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
			case gone:
				r.drain()
				return nil
			case pending:
				if more, err := r.take(&worked); err != nil || !more {
					return err
				}
			default:
				r.hangUp(event.Fd)
			}
		}
	}
}

// take takes the next one who waits, and reports whether there is any sense in taking more. worked tells whether the
// guest has been reached before.
func (r *relay) take(worked *bool) (bool, error) {
	open := r.count()
	if open == maxOpen {
		_, err := r.refuse(fmt.Sprintf("%d programs are running in VM %s already", maxOpen, r.vm))
		return true, err
	}
	guest, err := reach(r.device)
	switch {
	case err == nil:
	case !*worked:
		return false, r.refuseAll(fmt.Sprintf("VM %s cannot run it: %v", r.vm, err))
	case open > 0:
		// It is about to end, or does not listen any more; what runs is not to end because of that.
		_, err := r.refuse(fmt.Sprintf("VM %s cannot run it: %v", r.vm, err))
		return true, err
	default:
		return false, nil
	}
	*worked = true
	client, err := r.accept()
	if err != nil || client == nil {
		_ = guest.CloseWrite()
		_ = guest.SetReadDeadline(time.Now().Add(parting))
		go connection{guest: guest}.finish()
		return true, err
	}
	return true, r.carry(connection{client, guest, new(sync.Once)})
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

// refuse tells the next one who waits, in the guest's place, why there is no program, and reports whether there was one.
func (r *relay) refuse(text string) (bool, error) {
	client, err := r.accept()
	if err != nil || client == nil {
		return false, err
	}
	defer client.Close()
	// A client that is gone by now needs no answer, and the buffer of one that is there is empty: this does not wait.
	if w, err := protocol.NewWriter(client); err == nil {
		_ = w.Write(protocol.Failed, (&protocol.Failure{Code: protocol.NotRun, Text: text}).Marshal())
	}
	return true, nil
}

// refuseAll tells everybody who waits.
func (r *relay) refuseAll(text string) error {
	for {
		if more, err := r.refuse(text); err != nil || !more {
			return err
		}
	}
}

// carry begins to carry a connection.
func (r *relay) carry(c connection) error {
	fd, err := descriptor(c.client)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	id := r.next
	// A client that hangs up is seen while the guest takes nothing of what it has sent, too.
	if err := r.events.watch(fd, id, unix.EPOLLRDHUP|unix.EPOLLONESHOT); err != nil {
		return err
	}
	r.open[id] = c
	r.all.Add(1)
	go func() {
		defer r.end(id)
		var back sync.WaitGroup
		back.Add(1)
		go func() {
			defer back.Done()
			_ = splice(c.guest, c.client)
			c.leave()
		}()
		// How a connection ends is for its two ends to say.
		_ = splice(c.client, c.guest)
		c.leave()
		back.Wait()
		c.finish()
	}()
	return nil
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
