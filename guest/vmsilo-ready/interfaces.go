package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"vmsilo/guest/internal/cmdline"
)

// watched are the messages of rtnetlink(7) after which something may be there that was not.
const watched = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// awaitInterfaces returns when each of the interfaces has its name, its addresses, and its gateways: systemd-networkd sets
// routes only after the last address. It asks again after every message of the kernel about any of these: no polling.
func awaitInterfaces(ctx context.Context, interfaces []cmdline.Interface) error {
	if incomplete(interfaces) == nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("watching interfaces: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: watched}); err != nil {
		return fmt.Errorf("watching interfaces: %w", err)
	}
	buffer := make([]byte, 64<<10)
	for {
		missing := incomplete(interfaces)
		if missing == nil {
			return nil
		}
		if err := wait(ctx, fd, unix.POLLIN); err != nil {
			return fmt.Errorf("%w: %w", missing, err)
		}
		// What it says does not matter, nor that messages were lost (ENOBUFS): all is looked at again.
		if _, err := unix.Read(fd, buffer); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watching interfaces: %w", err)
		}
	}
}

// incomplete names the first interface that is not there under its name or lacks an address or a gateway.
func incomplete(interfaces []cmdline.Interface) error {
	for _, want := range interfaces {
		got, err := net.InterfaceByName(want.Name)
		if err != nil || got.HardwareAddr.String() != want.MAC {
			return fmt.Errorf("interface %s with MAC address %s is not there", want.Name, want.MAC)
		}
		addresses, err := got.Addrs()
		if err != nil {
			return fmt.Errorf("interface %s: listing addresses: %w", want.Name, err)
		}
		for _, a := range want.Addresses {
			if !slices.ContainsFunc(addresses, func(has net.Addr) bool { return has.String() == a.String() }) {
				return fmt.Errorf("interface %s does not have address %s", want.Name, a)
			}
		}
		for _, g := range want.Gateways {
			// A list that was cut short by a change (ErrDumpInterrupted) is no answer either: the message of the change comes yet.
			routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{LinkIndex: got.Index, Gw: g.AsSlice()},
				netlink.RT_FILTER_OIF|netlink.RT_FILTER_GW)
			if err != nil {
				return fmt.Errorf("interface %s: listing routes: %w", want.Name, err)
			}
			if len(routes) == 0 {
				return fmt.Errorf("interface %s does not have gateway %s", want.Name, g)
			}
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
