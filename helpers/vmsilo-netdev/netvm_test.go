package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vmsilo/tests/frames"
)

// What clients of a netvm n are made with, and the netvm.
var (
	clientArgs = []string{"--bridge=n-br", "--netvm=n", "--netvm-tap=n-22"}
	netvmArgs  = []string{"--bridge=n-br", "--isolated=false", "--router", "--addresses=10.9.0.254/16,fd09::fe/48"}
)

// netvm makes a netvm n with the clients a and b.
func netvm(t *testing.T, folder string) (n, a, b *guest) {
	n = newGuest(t, folder, "n", 0xf, netvmArgs...)
	a = newGuest(t, folder, "a", 0xa, append(clientArgs, addressesOfA)...)
	b = newGuest(t, folder, "b", 0xb, append(clientArgs, "--addresses=10.9.0.3/24,fd09::3/64")...)
	awaitForwarding(t, n.tap, a.tap, b.tap)
	return n, a, b
}

// ofNetVM is a client of a netvm, whose frames the netvm sees.
func ofNetVM(t *testing.T) (*guest, observer) {
	n, a, _ := netvm(t, t.TempDir())
	return a, func(frame []byte) bool {
		a.send(frame)
		// As in bridgedWith.
		return n.receives(bytes.TrimRight(frame[6:], "\x00"), grace)
	}
}

// A netvm sends packets from anywhere, and is nobody else to its clients: not in Ethernet, and not to whom they ask for
// addresses.
func TestNetVMFrames(t *testing.T) {
	namespace(t)
	n, a, _ := netvm(t, t.TempDir())
	reaches := func(frame []byte) bool {
		n.send(frame)
		return a.receives(frame[6:], grace)
	}
	other := net.HardwareAddr{0x52, 0, 0, 0, 0, 0xb}
	mark := udp(1000, 7, "the mark of this packet")
	nd := func(kind byte, target string) []byte {
		return bytes.Join([][]byte{{kind, 0, 0, 0, 0x20, 0, 0, 0}, ip(target), {2, 1}, n.mac}, nil)
	}
	const ownLink = "fe80::5000:ff:fe00:f"
	for what, frame := range map[string][]byte{
		"IPv4 of elsewhere":  frameFrom(n.mac, a.mac, unix.ETH_P_IP, packet("9.9.9.9", own4, unix.IPPROTO_UDP, mark)),
		"IPv4 of its own":    frameFrom(n.mac, a.mac, unix.ETH_P_IP, packet("10.9.0.254", own4, unix.IPPROTO_UDP, mark)),
		"IPv6 of elsewhere":  frameFrom(n.mac, a.mac, unix.ETH_P_IPV6, packet("2001:db8::9", own6, unix.IPPROTO_UDP, mark)),
		"IPv6 of its own":    frameFrom(n.mac, a.mac, unix.ETH_P_IPV6, packet("fd09::fe", own6, unix.IPPROTO_UDP, mark)),
		"its link-local one": frameFrom(n.mac, a.mac, unix.ETH_P_IPV6, packet(ownLink, own6, unix.IPPROTO_UDP, mark)),
		"ARP":                n.frame(unix.ETH_P_ARP, arp(1, n.mac, "10.9.0.254", own4)),
		"a solicitation":     n.frame(unix.ETH_P_IPV6, packet("fd09::fe", "ff02::1:ff00:2", unix.IPPROTO_ICMPV6, nd(neighbourSolicit, own6))),
		"its advertisement":  n.frame(unix.ETH_P_IPV6, packet("fd09::fe", everybody6, unix.IPPROTO_ICMPV6, nd(neighbourAdvert, "fd09::fe"))),
	} {
		if !reaches(frame) {
			t.Errorf("%s is dropped", what)
		}
	}
	bad := map[string][]byte{
		"another MAC":                 frameFrom(other, a.mac, unix.ETH_P_IP, packet("9.9.9.9", own4, unix.IPPROTO_UDP, mark)),
		"IPv4 from loopback":          frameFrom(n.mac, a.mac, unix.ETH_P_IP, packet("127.0.0.1", own4, unix.IPPROTO_UDP, mark)),
		"IPv4 from a group":           frameFrom(n.mac, a.mac, unix.ETH_P_IP, packet("224.0.0.1", own4, unix.IPPROTO_UDP, mark)),
		"another's link-local":        frameFrom(n.mac, a.mac, unix.ETH_P_IPV6, packet(frames.LinkLocal(other), own6, unix.IPPROTO_UDP, mark)),
		"IPv6 from loopback":          frameFrom(n.mac, a.mac, unix.ETH_P_IPV6, packet("::1", own6, unix.IPPROTO_UDP, mark)),
		"ARP for another":             n.frame(unix.ETH_P_ARP, arp(2, n.mac, others4, own4)),
		"ARP for elsewhere":           n.frame(unix.ETH_P_ARP, arp(2, n.mac, "9.9.9.9", own4)),
		"advertisement for another":   n.frame(unix.ETH_P_IPV6, packet("fd09::fe", everybody6, unix.IPPROTO_ICMPV6, nd(neighbourAdvert, others6))),
		"advertisement for elsewhere": n.frame(unix.ETH_P_IPV6, packet("fd09::fe", everybody6, unix.IPPROTO_ICMPV6, nd(neighbourAdvert, "2001:db8::9"))),
		"router advertisement":        n.frame(unix.ETH_P_IPV6, packet(ownLink, everybody6, unix.IPPROTO_ICMPV6, []byte{routerAdvert, 0, 0, 0, 64, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})),
		"ICMP redirect":               frameFrom(n.mac, a.mac, unix.ETH_P_IP, packet("10.9.0.254", own4, unix.IPPROTO_ICMP, append([]byte{5, 1, 0, 0, 10, 9, 0, 3}, packet(own4, "9.9.9.9", unix.IPPROTO_UDP, mark)...))),
		"another type: LLDP":          n.frame(unix.ETH_P_LLDP, []byte("the mark of LLDP")),
	}
	for what, frame := range bad {
		if reaches(frame) {
			t.Errorf("%s got through", what)
		}
	}
	tool(t, "nft", "delete", "table", "netdev", "vmsilo-n-22")
	for what, frame := range bad {
		if !reaches(frame) {
			t.Errorf("%s does not get through without the filter either", what)
		}
	}
}

// Clients reach their netvm and are reached by it; they do not reach each other, straight or by what is for everybody.
func TestClients(t *testing.T) {
	namespace(t)
	n, a, b := netvm(t, t.TempDir())
	mark := udp(1000, 7, "the mark of a client")
	for own, other := range map[string]string{own4: others4, own6: others6} {
		for what, to := range map[string]net.HardwareAddr{"the netvm": n.mac, "everybody": broadcast, "the other": b.mac, "nobody": {0x52, 9, 9, 9, 9, 9}} {
			a.send(frameFrom(a.mac, to, kindOf(own), packet(own, other, unix.IPPROTO_UDP, mark)))
			if b.receives([]byte("the mark of a client"), grace) {
				t.Errorf("%s to %s reaches the other client", own, what)
			}
			if !n.receives([]byte("the mark of a client"), 5*grace) && what != "the other" {
				t.Errorf("%s to %s does not reach the netvm", own, what)
			}
		}
		n.send(frameFrom(n.mac, a.mac, kindOf(own), packet(map[bool]string{true: "9.9.9.9", false: "2001:db8::9"}[own == own4], own, unix.IPPROTO_UDP, mark)))
		if !a.receives([]byte("the mark of a client"), 5*grace) || b.receives([]byte("the mark of a client"), grace) {
			t.Errorf("%s: what the netvm sends to one does not reach this one alone", own)
		}
	}
	tool(t, "bridge", "link", "set", "dev", a.tap, "isolated", "off")
	a.send(frameFrom(a.mac, b.mac, unix.ETH_P_IP, packet(own4, others4, unix.IPPROTO_UDP, mark)))
	if !b.receives([]byte("the mark of a client"), 5*grace) {
		t.Error("the other is not reached without the isolation either")
	}
}

// The host has no part in the link: it answers nothing there, takes nothing, and forwards nothing, whoever asks.
func TestHostIsDeaf(t *testing.T) {
	namespace(t)
	forwardAll(t)
	tool(t, "ip", "address", "add", "192.0.2.1/32", "dev", "lo")
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "far"}, PeerName: "farther"})
	tool(t, "ip", "link", "set", "farther", "up")
	tool(t, "sysctl", "-qw", "net.ipv6.conf.far.disable_ipv6=1")
	tool(t, "ip", "route", "add", "203.0.113.0/24", "dev", "far")
	tool(t, "ip", "neighbour", "add", "203.0.113.7", "lladdr", "52:00:00:00:00:77", "dev", "far")
	n, a, _ := netvm(t, t.TempDir())
	link, err := netlink.LinkByName("n-br")
	if err != nil {
		t.Fatal(err)
	}
	if addresses, _ := netlink.AddrList(link, netlink.FAMILY_ALL); len(addresses) > 0 || get(conf6+"/n-br/disable_ipv6") != "1" {
		t.Errorf("the host has %v there", addresses)
	}
	listens := heard(t, "udp", "192.0.2.1:7")
	tool(t, "ip", "address", "add", "203.0.113.1/32", "dev", "far")
	sent := func() uint64 {
		far, err := netlink.LinkByName("far")
		if err != nil {
			t.Fatal(err)
		}
		return far.Attrs().Statistics.TxPackets
	}
	try := func(g *guest, source string) (heard, answered, forwarded bool) {
		before := sent()
		for _, to := range []net.HardwareAddr{link.Attrs().HardwareAddr, broadcast} {
			g.send(frameFrom(g.mac, to, unix.ETH_P_IP, packet(source, "192.0.2.1", unix.IPPROTO_UDP, udp(1000, 7, "to the host"))))
			g.send(frameFrom(g.mac, to, unix.ETH_P_IP, packet(source, "203.0.113.7", unix.IPPROTO_UDP, udp(1000, 7, "through the host"))))
		}
		heard = listens() > 0
		g.send(g.frame(unix.ETH_P_ARP, arp(1, g.mac, source, "192.0.2.1")))
		answered = g.receives(slices.Concat([]byte{0, 2}, link.Attrs().HardwareAddr, ip("192.0.2.1")), grace)
		return heard, answered, sent() != before
	}
	for g, source := range map[*guest]string{a: own4, n: "10.9.0.254"} {
		if heard, answered, forwarded := try(g, source); heard || answered || forwarded {
			t.Errorf("%s: heard %v, answered %v, forwarded %v", g.tap, heard, answered, forwarded)
		}
	}
	// Without the filter, the table of all guests and the bridge's settings still keep them from the host.
	tool(t, "nft", "delete", "table", "netdev", "vmsilo-n-br")
	tool(t, "ip", "route", "add", own4+"/32", "dev", "n-br")
	if heard, answered, forwarded := try(a, own4); heard || answered || forwarded {
		t.Errorf("without the filter: heard %v, answered %v, forwarded %v", heard, answered, forwarded)
	}
	tool(t, "nft", "delete", "table", "inet", "vmsilo")
	tool(t, "sysctl", "-qw", "net.ipv4.conf.n-br.arp_ignore=0")
	if heard, answered, forwarded := try(a, own4); !heard || !answered || !forwarded {
		t.Errorf("without all filters: heard %v, answered %v, forwarded %v", heard, answered, forwarded)
	}
}

// The bridge is there from the first to the last of them: clients are on it while their netvm is gone and when it is back. Then
// nothing is.
func TestNetVMComesAndGoes(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	before := state(t)
	n, a, b := netvm(t, folder)
	during := state(t)
	for _, what := range []string{"table netdev vmsilo-n-br", "table netdev vmsilo-n-22", "table netdev vmsilo-a-22"} {
		if !strings.Contains(during, what) {
			t.Errorf("there is no %s", what)
		}
	}
	n.file.Close()
	mustRun(t, "remove", n.record)
	if !exists("n-br") || !strings.Contains(state(t), "table netdev vmsilo-n-br") {
		t.Error("the bridge or its filter has gone with the netvm")
	}
	mustRun(t, "refresh", folder)
	n = newGuest(t, folder, "n", 0xf, netvmArgs...)
	awaitForwarding(t, n.tap)
	a.send(frameFrom(a.mac, n.mac, unix.ETH_P_IP, packet(own4, "9.9.9.9", unix.IPPROTO_UDP, udp(1000, 7, "the mark of a client"))))
	if !n.receives([]byte("the mark of a client"), 5*grace) {
		t.Error("the client does not reach the netvm that is back")
	}
	for _, g := range []*guest{n, a, b} {
		g.file.Close()
		mustRun(t, "remove", g.record)
	}
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// What flushes all tables takes the bridge's, too, which comes back with the others; a bridge that somebody has removed is no
// obstacle.
func TestNetVMRefresh(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	netvm(t, folder)
	rules := tool(t, "nft", "list", "ruleset")
	tool(t, "nft", "flush", "ruleset")
	mustRun(t, "refresh", folder)
	if changed := difference(rules, tool(t, "nft", "list", "ruleset")); changed != "" {
		t.Error(changed)
	}
	tool(t, "ip", "link", "delete", "n-br")
	tool(t, "nft", "flush", "ruleset")
	mustRun(t, "refresh", folder)
	if tables := tool(t, "nft", "list", "tables"); strings.Contains(tables, "vmsilo-n-br") || !strings.Contains(tables, "vmsilo-n-22") {
		t.Error(tables)
	}
}

// A client without its netvm has nothing: the bridge alone would lead nowhere.
func TestClientWithoutNetVM(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	record := filepath.Join(folder, "demo:lan0")
	before := state(t)
	if err := run(addArgs(record, clientArgs...)); err == nil || !strings.Contains(err.Error(), `netvm "n" is not there: its TAP "n-22" is no port of bridge "n-br"`) {
		t.Errorf("got %v", err)
	}
	mustBeGone(t, record)
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// A bridge of a netvm's name that is somebody else's is left alone.
func TestNetVMBridgeOfAnother(t *testing.T) {
	namespace(t)
	mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "n-br"}})
	before := state(t)
	record := filepath.Join(t.TempDir(), "n:clients")
	if err := run(addArgs(record, netvmArgs...)); err == nil || !strings.Contains(err.Error(), `an interface "n-br" is there and is not vmsilo's`) {
		t.Errorf("got %v", err)
	}
	mustBeGone(t, record)
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// Nor is one that a VM is on by "bridge".
func TestNetVMBridgeInUse(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	mustRun(t, addArgs(filepath.Join(folder, "demo:lan0"), "--bridge=n-br")...)
	record := filepath.Join(folder, "n:clients")
	args := append([]string{"add", "--tap=n-22", "--owner=70018", "--mac=52:00:00:00:00:0f"}, append(netvmArgs, record)...)
	if err := run(args); err == nil || !strings.Contains(err.Error(), `bridge "n-br" is in use by "demo:lan0"`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(record); err == nil || exists("n-22") || !exists("demo-22") {
		t.Error("something is left of it, or the other is gone")
	}
}

// Where bridges' packets go through the chains for what is forwarded, one that drops them is told of.
func TestNetVMObstacle(t *testing.T) {
	namespace(t)
	if _, err := os.Stat(bridgeFilter); err != nil {
		t.Log("this kernel has no br_netfilter here")
		return
	}
	tool(t, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
	tool(t, "nft", "add", "table", "ip", "filter")
	tool(t, "nft", "add", "chain", "ip", "filter", "FORWARD", "{ type filter hook forward priority 0; policy drop; }")
	var said strings.Builder
	(&tap{Name: "n-22", Bridge: "n-br", Router: true}).warn(&said)
	if !strings.Contains(said.String(), `may drop what n-br sends and gets`) {
		t.Errorf("got %s", said.String())
	}
}
