package main

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/handover"
)

// hungUp returns a channel that is closed when a client has closed, or its sending side, whatever it has sent, which nobody
// reads.
func hungUp(client *net.UnixConn) <-chan struct{} {
	left := make(chan struct{})
	go func() {
		defer close(left)
		raw, err := client.SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Read(func(fd uintptr) bool {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
			n, err := unix.Poll(fds, 0)
			for errors.Is(err, unix.EINTR) {
				n, err = unix.Poll(fds, 0)
			}
			return n != 0
		})
	}()
	return left
}

// is tells whether what a channel stands for is so by now.
func is(so <-chan struct{}) bool {
	select {
	case <-so:
		return true
	default:
		return false
	}
}

// part ends the connection to a guest. It is shut down, since the client may have kept what it was given, and read from for
// some time: of a socket that is closed with bytes in it, vhost-device-vsock 0.3 tells the guest nothing, and the program would
// run on.
func part(guest *net.UnixConn) {
	_ = guest.CloseWrite()
	_ = guest.SetReadDeadline(time.Now().Add(handover.Parting))
	raw, err := guest.SyscallConn()
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
