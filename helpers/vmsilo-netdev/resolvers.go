package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	resolvConf = "/etc/resolv.conf"
	// upstream is what systemd-resolved keeps beside resolvConf where that names resolved itself, which hears nobody but
	// the host: systemd-resolved.service(8).
	upstream = "/run/systemd/resolve/resolv.conf"
)

// stubs are the addresses of systemd-resolved.
var stubs = []netip.Addr{netip.MustParseAddr("127.0.0.53"), netip.MustParseAddr("127.0.0.54")}

// resolvers returns the host's first name server of each family that a guest's questions can be led to.
func resolvers() []netip.Addr {
	servers := nameServers(resolvConf)
	if slices.ContainsFunc(stubs, func(stub netip.Addr) bool { return slices.Contains(servers, stub) }) {
		servers = nameServers(upstream)
	}
	var first []netip.Addr
	for _, is6 := range []bool{false, true} {
		// The kernel leads nothing from elsewhere to ::1, and to no address of a single link.
		usable := func(a netip.Addr) bool {
			return a.Is6() == is6 && !slices.Contains(stubs, a) && !(is6 && (a.IsLoopback() || a.IsLinkLocalUnicast()))
		}
		if n := slices.IndexFunc(servers, usable); n >= 0 {
			first = append(first, servers[n])
		}
	}
	return first
}

// nameServers reads a resolv.conf(5).
func nameServers(path string) (servers []netip.Addr) {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, a.Unmap())
		}
	}
	return servers
}

// reachLoopback lets packets from a TAP be led to a name server of 127.0.0.0/8 where the host has one there. What the guest
// itself sends there is dropped before.
func (t *tap) reachLoopback(servers []netip.Addr) error {
	value := "0"
	if slices.ContainsFunc(servers, netip.Addr.IsLoopback) {
		value = "1"
	}
	return set(filepath.Join(conf4, t.Name, "route_localnet"), value)
}
