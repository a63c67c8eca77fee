package main

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// maxSplice is how many bytes are asked for at once; a pipe has room for fewer.
const maxSplice = 1 << 20

// errNotTaken is the error of a connection that takes no more bytes.
var errNotTaken = errors.New("not taken")

// splice moves bytes from one connection to another, through a pipe and inside the kernel, until one of them ends; where
// that is the other, the error wraps errNotTaken. While it waits it holds no thread.
func splice(to, from *net.UnixConn) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	reader, err := from.SyscallConn()
	if err != nil {
		return err
	}
	writer, err := to.SyscallConn()
	if err != nil {
		return err
	}
	for {
		// The pipe is empty here, so that it is from alone that there is to wait for.
		left, err := move(reader.Read, func(fd int) (int64, error) {
			return unix.Splice(fd, nil, pipe[1], nil, maxSplice, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		})
		if err != nil || left == 0 {
			return err
		}
		for left > 0 {
			n, err := move(writer.Write, func(fd int) (int64, error) {
				return unix.Splice(pipe[0], nil, fd, nil, int(left), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
			})
			if err != nil {
				return fmt.Errorf("%w: %w", errNotTaken, err)
			}
			left -= n
		}
	}
}

// move runs a system call that does not block as soon as wait, the Read or Write of a connection, lets it.
func move(wait func(func(fd uintptr) bool) error, call func(fd int) (int64, error)) (n int64, err error) {
	waited := wait(func(fd uintptr) bool {
		n, err = call(int(fd))
		for errors.Is(err, unix.EINTR) {
			n, err = call(int(fd))
		}
		return !errors.Is(err, unix.EAGAIN)
	})
	if waited != nil {
		return 0, waited
	}
	return n, err
}
