package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hostPort is a port of the host that a guest may reach.
type hostPort struct {
	Number uint16
	TCP    bool
}

func (p hostPort) protocol() byte {
	if p.TCP {
		return unix.IPPROTO_TCP
	}
	return unix.IPPROTO_UDP
}

// parsePort reads a port such as "53/udp".
func parsePort(text string) (hostPort, error) {
	number, protocol, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || (protocol != "tcp" && protocol != "udp") {
		return hostPort{}, fmt.Errorf("%q is not a port such as \"53/udp\"", text)
	}
	return hostPort{uint16(n), protocol == "tcp"}, nil
}
