package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What the contract says about the message.
const (
	readyPort    = 5001
	readyMessage = "READY=1"
)

// sendReady delivers the message to the host.
func sendReady(ctx context.Context) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening a vsock: %w", err)
	}
	defer unix.Close(fd)
	// The kernel's own limit for a connection is two seconds, too short for a host under load.
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, &limit); err != nil {
		return fmt.Errorf("setting the vsock timeout: %w", err)
	}
	return deliver(ctx, fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: readyPort})
}

// deliver connects the non-blocking socket to addr, sends the message and waits for the other side to close, which
// tells that it was received.
func deliver(ctx context.Context, fd int, addr unix.Sockaddr) error {
	if err := connect(ctx, fd, addr); err != nil {
		return fmt.Errorf("connecting to port %d of the host: %w", readyPort, err)
	}
	if n, err := unix.Write(fd, []byte(readyMessage)); err != nil || n != len(readyMessage) {
		return fmt.Errorf("sending %s: %d bytes: %w", readyMessage, n, err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("sending %s: %w", readyMessage, err)
	}
	if err := wait(ctx, fd, unix.POLLIN); err != nil {
		return fmt.Errorf("waiting for the host to close: %w", err)
	}
	return nil
}

func connect(ctx context.Context, fd int, addr unix.Sockaddr) error {
	err := unix.Connect(fd, addr)
	if !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	if err := wait(ctx, fd, unix.POLLOUT); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}
