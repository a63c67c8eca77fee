package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/guest/internal/cmdline"
)

// awaitInterfaces returns when each of the interfaces has its name. It asks again after every message of the kernel
// about links: no polling.
func awaitInterfaces(ctx context.Context, interfaces []cmdline.Interface) error {
	if misnamed(interfaces) == nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("watching links: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return fmt.Errorf("watching links: %w", err)
	}
	buffer := make([]byte, 64<<10)
	for {
		missing := misnamed(interfaces)
		if missing == nil {
			return nil
		}
		if err := wait(ctx, fd, unix.POLLIN); err != nil {
			return fmt.Errorf("%w: %w", missing, err)
		}
		// What it says does not matter, nor that messages were lost (ENOBUFS): all is looked at again.
		if _, err := unix.Read(fd, buffer); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watching links: %w", err)
		}
	}
}

// misnamed names the first interface that is not there under its name.
func misnamed(interfaces []cmdline.Interface) error {
	for _, want := range interfaces {
		if got, err := net.InterfaceByName(want.Name); err != nil || got.HardwareAddr.String() != want.MAC {
			return fmt.Errorf("interface %s with MAC address %s is not there", want.Name, want.MAC)
		}
	}
	return nil
}

// wait returns when fd has one of the poll(2) events, or the context's time is over.
func wait(ctx context.Context, fd int, events int16) error {
	for {
		timeout := -1
		if deadline, ok := ctx.Deadline(); ok {
			timeout = max(0, int(time.Until(deadline).Milliseconds())+1)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return context.DeadlineExceeded
		default:
			return nil
		}
	}
}
