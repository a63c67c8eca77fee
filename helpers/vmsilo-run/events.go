package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// What an event is about, where it is about no connection: these have the numbers from 0 on.
const (
	pending int32 = -1 - iota // somebody waits to be taken
	asked                     // this process is to end
	ended                     // the last connection has
)

// events tells of what happens. It is one epoll(7) instance.
type events struct {
	fd    int
	ready [64]unix.EpollEvent
	// ended is an eventfd(2).
	ended int
}

// newEvents returns an instance that lasts as long as the process, whose end by SIGTERM it tells of.
func newEvents() (*events, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll instance: %w", err)
	}
	e := &events{fd: fd}
	if e.ended, err = e.eventfd(ended); err != nil {
		return nil, err
	}
	stopped, err := e.eventfd(asked)
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	go func() {
		<-signals
		tell(stopped)
	}()
	return e, nil
}

// eventfd returns an eventfd(2) whose events are those of id.
func (e *events) eventfd(id int32) (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, fmt.Errorf("making an eventfd: %w", err)
	}
	return fd, e.watch(fd, id, unix.EPOLLIN)
}

// tell has wait return an event of an eventfd.
func tell(fd int) {
	// It fails when nobody has taken 2^64 of them.
	_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// watch has events of a file told as those of id, until the file is closed.
func (e *events) watch(fd int, id int32, what uint32) error {
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: what, Fd: id}); err != nil {
		return fmt.Errorf("watching a file: %w", err)
	}
	return nil
}

// wait returns what has happened, or nothing when the time is up. A negative time is none.
func (e *events) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	ms := -1
	if timeout >= 0 {
		ms = int(timeout.Milliseconds())
	}
	for {
		n, err := unix.EpollWait(e.fd, e.ready[:], ms)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("waiting for events: %w", err)
		}
		return e.ready[:n], nil
	}
}

func (e *events) tellEnded() { tell(e.ended) }

func (e *events) takeEnded() { _, _ = unix.Read(e.ended, make([]byte, 8)) }
