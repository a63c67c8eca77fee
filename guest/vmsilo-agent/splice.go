package main

import (
	"errors"
	"io"
	"os"

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

// splice moves what there is, size bytes at most, as soon as there is something. The error is errFull, that of the
// connection, or EPIPE where nobody reads from the pipe.
func (s *splicer) splice(size int) (moved int, err error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	// Of much, all that is missing, and not each packet of 4 KiB.
	lowest := 1
	if size >= bulk {
		lowest = size
	}
	waited := raw.Read(func(from uintptr) bool {
		moved, err = s.try(int(from), size)
		// It may have come before that was said.
		if errors.Is(err, unix.EAGAIN) && s.lowest != lowest {
			s.wakeAt(lowest)
			moved, err = s.try(int(from), size)
		}
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

// bulk is from how many bytes on it pays to wait for all of them.
const bulk = 16 << 10

// try moves what there is. The error is EAGAIN where that is nothing.
func (s *splicer) try(from, size int) (moved int, err error) {
	err = control(s.pipe, func(to int) error {
		for range 2 {
			var n int64
			n, err = unix.Splice(from, nil, to, nil, size, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
			moved = max(int(n), 0)
			if !errors.Is(err, unix.EAGAIN) {
				return err
			}
			if full(to) {
				return errFull
			}
			// The pipe may have been full until a moment ago. The second time it is the connection that has nothing.
		}
		return err
	})
	return moved, err
}

// full tells whether a pipe has no room.
func full(pipe int) bool {
	fds := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 0
}

// wakeAt sets how many bytes wake.
func (s *splicer) wakeAt(bytes int) {
	if s.lowest != bytes {
		s.lowest = bytes
		_ = control(s.conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
	}
}
