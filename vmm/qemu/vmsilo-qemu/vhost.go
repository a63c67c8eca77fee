package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// vhostNet carries packets between a TAP and a guest's network device in the kernel: drivers/vhost/net.c.
const vhostNet = "/dev/vhost-net"

// carried returns QEMU's arguments with the packets of its TAPs carried by the kernel, where the device can be opened. With
// vhost=on and without the device QEMU does not start.
func carried(args []string, device string) []string {
	var taps []int
	for n := 1; n < len(args); n++ {
		if args[n-1] == "-netdev" && strings.HasPrefix(args[n], "tap,") && !strings.Contains(args[n], ",vhost=") {
			taps = append(taps, n)
		}
	}
	if len(taps) == 0 {
		return args
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		fmt.Println("vmsilo-qemu: QEMU carries the packets of interfaces itself, which is slower:", err)
		return args
	}
	f.Close()
	args = slices.Clone(args)
	for _, n := range taps {
		args[n] += ",vhost=on"
	}
	return args
}
