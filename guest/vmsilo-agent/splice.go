package main

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// splicer moves bytes from a connection into a pipe, inside the kernel. Nobody else writes to the pipe.
type splicer struct {
	conn, pipe *os.File
	// lowest is how many bytes the connection must have before who waits for it is woken: socket(7), SO_RCVLOWAT.
	lowest int
}

// errFull is for a pipe without room.
var errFull = errors.New("the pipe is full")

// splice moves what there is, size bytes at most, as soon as there is something, and of much as soon as all is there. The
// error is errFull, that of the connection, or EPIPE where nobody reads from the pipe.
func (s *splicer) splice(size int) (moved int, err error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	if size >= bulk {
		s.wakeAt(size)
	} else {
		s.wakeAt(1)
	}
	waited := raw.Read(func(from uintptr) bool {
		// For what is not there the kernel would take as many pages, and give them back.
		if !ready(int(from), unix.POLLIN) {
			err = unix.EAGAIN
			return false
		}
		moved, err = s.try(int(from), size)
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case err == nil && waited != nil:
		err = waited
	case err == nil && moved == 0:
		err = io.ErrUnexpectedEOF
	}
	return moved, err
}

// bulk is from how many bytes on it pays to wait for all of them, and not to be woken by each packet of 4 KiB.
const bulk = 16 << 10

// room is how long a program that reads takes to make room in its pipe. Of one that has not by then, nobody knows when it
// will.
const room = 100 * time.Millisecond

// try moves what there is. The error is EAGAIN where that is nothing, and errFull where the pipe has had no room for long.
func (s *splicer) try(from, size int) (moved int, err error) {
	_ = s.pipe.SetWriteDeadline(time.Now().Add(room))
	raw, err := s.pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Write(func(to uintptr) bool {
		var n int64
		n, err = unix.Splice(from, nil, int(to), nil, size, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		moved = max(int(n), 0)
		return !errors.Is(err, unix.EAGAIN) || ready(int(to), unix.POLLOUT)
	})
	if waited != nil {
		return 0, errFull
	}
	return moved, err
}

// ready tells whether a file can be read from or written to.
func ready(fd int, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(fds, 0)
	// A signal of Go's own: who took it for "no" would wait for news that has come.
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, 0)
	}
	return n > 0
}

// wakeAt sets how many bytes wake.
func (s *splicer) wakeAt(bytes int) {
	if s.lowest != bytes {
		s.lowest = bytes
		_ = control(s.conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
	}
}
