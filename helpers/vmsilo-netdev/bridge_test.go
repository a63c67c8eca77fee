package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func exists(name string) bool {
	_, err := netlink.LinkByName(name)
	return err == nil
}

// A bridge that was made goes with its last TAP, whichever that is.
func TestBridgeIsMade(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	before := state(t)
	guests := []*guest{}
	for n, name := range []string{"a", "b", "c"} {
		g := newGuest(t, folder, name, byte(0xa+n), "--bridge=br0")
		guests = append(guests, g)
	}
	bridge, err := netlink.LinkByName("br0")
	if err != nil {
		t.Fatal(err)
	}
	if got := get(conf6 + "/br0/disable_ipv6"); got != "1" || bridge.Attrs().Flags&net.FlagUp == 0 {
		t.Errorf("disable_ipv6 is %s, flags %s", got, bridge.Attrs().Flags)
	}
	for _, n := range []int{0, 2, 1} {
		if !exists("br0") {
			t.Error("the bridge is gone before its last TAP")
		}
		guests[n].file.Close()
		mustRun(t, "remove", guests[n].record)
	}
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// The host has no part in a bridge that was made: it tells of none of its addresses there, and forwards nothing from there.
func TestMadeBridgeIsWithoutHost(t *testing.T) {
	namespace(t)
	forwardAll(t)
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "far"}, PeerName: "farther"})
	tool(t, "ip", "link", "set", "farther", "up")
	tool(t, "sysctl", "-qw", "net.ipv6.conf.far.disable_ipv6=1")
	tool(t, "ip", "address", "add", "203.0.113.1/24", "dev", "far")
	tool(t, "ip", "neighbour", "add", "203.0.113.7", "lladdr", "52:00:00:00:00:77", "dev", "far")
	a := newGuest(t, t.TempDir(), "a", 0xa, "--bridge=lab", addressesOfA)
	awaitForwarding(t, a.tap)
	lab, err := netlink.LinkByName("lab")
	if err != nil {
		t.Fatal(err)
	}
	answered := func() bool {
		a.send(a.frame(unix.ETH_P_ARP, arp(1, a.mac, own4, "203.0.113.1")))
		return a.receives(slices.Concat([]byte{0, 2}, lab.Attrs().HardwareAddr, ip("203.0.113.1")), grace)
	}
	sent := func() uint64 {
		far, err := netlink.LinkByName("far")
		if err != nil {
			t.Fatal(err)
		}
		return far.Attrs().Statistics.TxPackets
	}
	forwarded := func() bool {
		before := sent()
		a.sendTo("lab", packet(own4, "203.0.113.7", unix.IPPROTO_UDP, udp(1000, 7, "through the host")))
		time.Sleep(grace)
		return sent() != before
	}
	if answered() || forwarded() {
		t.Errorf("answered %v, forwarded %v", answered(), forwarded())
	}
	tool(t, "sysctl", "-qw", "net.ipv4.conf.lab.arp_ignore=0")
	tool(t, "nft", "delete", "table", "inet", "vmsilo")
	if !answered() || !forwarded() {
		t.Errorf("without what keeps it from that: answered %v, forwarded %v", answered(), forwarded())
	}
}

// A bridge of somebody else's stays as it is, with its own address.
func TestBridgeOfAnother(t *testing.T) {
	namespace(t)
	mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nic"}, PeerName: "far"})
	tool(t, "ip", "link", "set", "nic", "master", "br0")
	// A bridge has the lowest address of its ports, and the TAP's begins with fe.
	tool(t, "ip", "link", "set", "nic", "address", "02:00:00:00:00:01")
	before := state(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	mustRun(t, addArgs(record, "--bridge=br0")...)
	if during := tool(t, "ip", "-brief", "link", "show", "br0"); !strings.Contains(before, strings.Fields(during)[2]) {
		t.Errorf("the bridge has another address: %s", during)
	}
	mustRun(t, "remove", record)
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// A bridge that has lost its last port has no MAC address, and is in nobody's way.
func TestBridgeWithoutAddress(t *testing.T) {
	namespace(t)
	mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	record := filepath.Join(t.TempDir(), "demo:lan0")
	mustRun(t, addArgs(record, "--bridge=br0")...)
	mustRun(t, "remove", record)
	if out := tool(t, "ip", "-brief", "link", "show", "br0"); !strings.Contains(out, " 00:00:00:00:00:00 ") {
		t.Fatalf("the bridge has one: %s", out)
	}
	mustRun(t, addArgs(record, natArgs...)...)
}

// Somebody else uses a bridge that was made: it is left to them.
func TestBridgeInUse(t *testing.T) {
	namespace(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	mustRun(t, addArgs(record, "--bridge=br0")...)
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nic"}, PeerName: "far"})
	tool(t, "ip", "link", "set", "nic", "master", "br0")
	mustRun(t, "remove", record)
	if !exists("br0") {
		t.Error("the bridge is gone")
	}
	mustBeGone(t, record)
}

// What is no bridge is refused, and stays.
func TestNoBridge(t *testing.T) {
	namespace(t)
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nic"}, PeerName: "far"})
	before := state(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	if err := run(addArgs(record, "--bridge=nic")); err == nil || !strings.Contains(err.Error(), `"nic" is a veth, and no bridge`) {
		t.Errorf("got %v", err)
	}
	mustBeGone(t, record)
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// A bridge that somebody removes while a VM runs is no obstacle to its end.
func TestBridgeRemovedByHand(t *testing.T) {
	namespace(t)
	before := state(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	mustRun(t, addArgs(record, "--bridge=br0")...)
	tool(t, "ip", "link", "delete", "br0")
	tool(t, "ip", "link", "delete", "demo-22")
	mustRun(t, "remove", record)
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// A VMM attaches as many queues as the TAP was made for.
func TestQueues(t *testing.T) {
	namespace(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	attach := func(flags uint16) error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		request, _ := unix.NewIfreq("demo-22")
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | flags)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	for _, c := range []struct {
		queues string
		flags  uint16
		many   bool
	}{{"1", 0, false}, {"4", unix.IFF_MULTI_QUEUE, true}} {
		mustRun(t, addArgs(record, "--queues="+c.queues)...)
		if err := attach(c.flags ^ unix.IFF_MULTI_QUEUE); err == nil {
			t.Errorf("%s queues: the other kind of queue is attached", c.queues)
		}
		if err := attach(c.flags); err != nil {
			t.Errorf("%s queues: the first: %v", c.queues, err)
		}
		if err := attach(c.flags); (err == nil) != c.many {
			t.Errorf("%s queues: the second: %v", c.queues, err)
		}
		mustRun(t, "remove", record)
	}
}

// A guest whose addresses are not told may have those of the host's network, or any where the host has none, and ask for
// them; its MAC address is its own in any case.
func TestFreeAddresses(t *testing.T) {
	question := udp(dhcpClient, dhcpServer, "the mark of a question for an address")
	for name, c := range map[string]struct {
		world         func(*testing.T) (*guest, observer)
		pass, dropped []string
	}{
		"routed": {
			func(t *testing.T) (*guest, observer) { return routedWith(t) },
			[]string{"10.9.0.2", "10.9.0.254", "fd09::1:2", "fe80::99"},
			[]string{"10.9.0.1", "10.8.0.1", "9.9.9.9", "fd09::1", "fd08::1", "2001:db8::1"},
		},
		"bridge": {
			func(t *testing.T) (*guest, observer) {
				places[1].prepare(t)
				tool(t, "ip", "address", "add", "fe80::98/64", "dev", "br0", "nodad")
				return bridgedWith(t)
			},
			[]string{"10.9.0.2", "9.9.9.9", "223.255.255.255", "2001:db8::1", "fd08::1", "fe80::99"},
			[]string{"127.0.0.1", "224.0.0.1", "::1", "ff02::1", "10.9.0.1", "fd09::1", "fe80::98"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t)
			g, passes := c.world(t)
			from := func(address string) []byte {
				to := "10.9.0.255"
				if kindOf(address) == unix.ETH_P_IPV6 {
					to = everybody6
				}
				return g.frame(kindOf(address), packet(address, to, unix.IPPROTO_UDP, udp(1000, 7, "the mark of this packet")))
			}
			for _, address := range c.pass {
				if !passes(from(address)) {
					t.Errorf("what is from %s is dropped", address)
				}
			}
			for _, address := range c.dropped {
				if passes(from(address)) {
					t.Errorf("what is from %s gets through", address)
				}
			}
			claims := map[string][]byte{
				"10.9.0.1": g.frame(unix.ETH_P_ARP, arp(2, g.mac, "10.9.0.1", "10.9.0.7")),
				"fd09::1": g.frame(unix.ETH_P_IPV6, packet("fe80::99", everybody6, unix.IPPROTO_ICMPV6,
					slices.Concat([]byte{neighbourAdvert, 0, 0, 0, 0x20, 0, 0, 0}, ip("fd09::1"), []byte{2, 1}, g.mac))),
			}
			for address, frame := range claims {
				if passes(frame) {
					t.Errorf("it is heard that it has the host's address %s", address)
				}
			}
			if !passes(g.frame(unix.ETH_P_IP, packet("0.0.0.0", "255.255.255.255", unix.IPPROTO_UDP, question))) {
				t.Error("it cannot ask for an address")
			}
			other := net.HardwareAddr{0x52, 0, 0, 0, 0, 0x77}
			if passes(frameFrom(other, broadcast, unix.ETH_P_IP, packet("10.9.0.2", "10.9.0.255", unix.IPPROTO_UDP, question))) {
				t.Error("what is from another MAC address gets through")
			}
		})
	}
}
