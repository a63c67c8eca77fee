package main

import (
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// place is how a guest is connected to the host, whose addresses there are 10.9.0.1 and fd09::1.
type place struct {
	name, device string
	prepare      func(t *testing.T)
	args         []string
}

// guest makes a world with a guest there, who can send and receive.
func (p place) guest(t *testing.T) *guest {
	t.Helper()
	namespace(t)
	p.prepare(t)
	g := newGuest(t, t.TempDir(), "a", 0xa, append(p.args, addressesOfA)...)
	if p.name == "bridge" {
		awaitForwarding(t, g.tap)
	}
	return g
}

var places = []place{
	{"routed", "a-22", func(*testing.T) {}, []string{"--host-address=10.9.0.1/24,fd09::1/64"}},
	{"bridge", "br0", func(t *testing.T) {
		mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
		addressed(t, "br0", "10.9.0.1/24", "fd09::1/64")
	}, []string{"--bridge=br0"}},
}

// addressed gives the host addresses on an interface.
func addressed(t *testing.T, device string, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		tool(t, "ip", "address", "add", a, "dev", device, "nodad")
	}
}

// TestHostPorts has a guest try ports of the host, on its address there and on another one, first with the firewall.
func TestHostPorts(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			namespace(t)
			tool(t, "ip", "address", "add", "192.0.2.1/32", "dev", "lo")
			tool(t, "ip", "address", "add", "2001:db8::1/128", "dev", "lo")
			p.prepare(t)
			g := newGuest(t, t.TempDir(), "a", 0xa, append(p.args, addressesOfA, "--host-ports=53/udp,443/tcp")...)
			if p.name == "bridge" {
				awaitForwarding(t, g.tap)
			}
			g.knownTo(p.device, own4, own6)
			ports := map[uint16]func() int{53: heard(t, "udp", ":53"), 54: heard(t, "udp", ":54")}
			for _, number := range []string{":443", ":22", ":53"} {
				heard(t, "tcp", number)
			}
			reaches := func(address string) map[string]bool {
				own := own4
				if address[0] != '1' {
					own = own6
				}
				got := map[string]bool{}
				for number, count := range ports {
					g.sendTo(p.device, packet(own, address, unix.IPPROTO_UDP, udp(1000, number, "x")))
					got[fmt.Sprint(number, "/udp")] = count() == 1
				}
				for _, number := range []uint16{443, 22, 53} {
					g.sendTo(p.device, packet(own, address, unix.IPPROTO_TCP, syn(1000, number)))
					// The answer has the ports the other way round, and acknowledges 2.
					answer := append(port(number), port(1000)...)
					got[fmt.Sprint(number, "/tcp")] = g.receives(answer, grace)
				}
				ping := unix.IPPROTO_ICMP
				kind := byte(8)
				if address[0] != '1' {
					ping, kind = unix.IPPROTO_ICMPV6, 128
				}
				g.sendTo(p.device, packet(own, address, byte(ping), append([]byte{kind, 0, 0, 0}, "the mark of a ping"...)))
				got["ping"] = g.receives([]byte("the mark of a ping"), grace)
				return got
			}
			addresses := []string{"10.9.0.1", "192.0.2.1", "fd09::1", "2001:db8::1"}
			for _, address := range addresses {
				for what, got := range reaches(address) {
					if want := what == "53/udp" || what == "443/tcp"; got != want {
						t.Errorf("%s of %s: reached: %v", what, address, got)
					}
				}
			}
			tool(t, "nft", "delete", "table", "inet", "vmsilo")
			for _, address := range addresses {
				for what, got := range reaches(address) {
					if !got {
						t.Errorf("%s of %s is not reached without the firewall either", what, address)
					}
				}
			}
		})
	}
}

// A guest finds the host.
func TestGuestFindsHost(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			g := p.guest(t)
			// The host takes its time to listen.
			answered := func(question, answer []byte) (yes bool) {
				for try := 0; try < 20 && !yes; try++ {
					g.send(question)
					yes = g.receives(answer, grace)
				}
				return yes
			}
			if !answered(g.frame(unix.ETH_P_ARP, arp(1, g.mac, own4, "10.9.0.1")), slices.Concat(ip("10.9.0.1"), g.mac, ip(own4))) {
				t.Error("ARP is not answered")
			}
			question := slices.Concat([]byte{neighbourSolicit, 0, 0, 0, 0, 0, 0, 0}, ip("fd09::1"), []byte{1, 1}, g.mac)
			if !answered(g.frame(unix.ETH_P_IPV6, packet(own6, "ff02::1:ff00:1", unix.IPPROTO_ICMPV6, question)),
				slices.Concat(ip("fd09::1"), ip(own6), []byte{neighbourAdvert})) {
				t.Error("neighbour discovery is not answered")
			}
		})
	}
}

// The host finds its guest, and hears its answers.
func TestHostReachesGuest(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			g := p.guest(t)
			link, err := netlink.LinkByName(p.device)
			if err != nil {
				t.Fatal(err)
			}
			for own, answer := range map[string][]byte{
				own4: frameFrom(g.mac, link.Attrs().HardwareAddr, unix.ETH_P_ARP, arp(2, g.mac, own4, "10.9.0.1")),
				own6: frameFrom(g.mac, link.Attrs().HardwareAddr, unix.ETH_P_IPV6, packet(own6, "fd09::1", unix.IPPROTO_ICMPV6,
					append([]byte{neighbourAdvert, 0, 0, 0, 0x60, 0, 0, 0}, append(ip(own6), append([]byte{2, 1}, g.mac...)...)...))),
			} {
				c, err := net.Dial("udp", net.JoinHostPort(own, "7"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.Write([]byte("a question of the host"))
				// Who has that address? The question waits for the answer, which the host takes its time to listen for.
				g.receives(ip(own), 5*grace)
				found := false
				for try := 0; try < 20 && !found; try++ {
					g.send(answer)
					found = g.receives([]byte("a question of the host"), grace)
				}
				if !found {
					t.Errorf("%s was not found", own)
				}
				local := c.LocalAddr().(*net.UDPAddr)
				g.sendTo(p.device, packet(own, local.IP.String(), unix.IPPROTO_UDP, udp(7, uint16(local.Port), "an answer")))
				if drain(func() error { return readOne(c) }) != 1 {
					t.Errorf("the answer of %s was not heard", own)
				}
			}
		})
	}
}

// TestNeighbours has a guest try another one that it shares no link with, and which the host would forward to.
func TestNeighbours(t *testing.T) {
	b4, b6 := "10.9.9.2", "fd99::2"
	for name, args := range map[string][2][]string{
		"routed": {{"--host-address=10.9.0.1/24,fd09::1/64"}, {"--host-address=10.9.9.1/24,fd99::1/64"}},
		"nat":    {{"--nat", "--host-address=10.9.0.1/24,fd09::1/64"}, {"--nat", "--host-address=10.9.9.1/24,fd99::1/64"}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t)
			forwardAll(t)
			folder := t.TempDir()
			a := newGuest(t, folder, "a", 0xa, append(args[0], addressesOfA)...)
			b := newGuest(t, folder, "b", 0xb, append(args[1], "--addresses=10.9.9.2/24,fd99::2/64")...)
			b.knownTo(b.tap, b4, b6)
			reaches := func(own, other string) bool {
				a.sendTo(a.tap, packet(own, other, unix.IPPROTO_UDP, udp(1000, 7, "the mark of a neighbour")))
				return b.receives([]byte("the mark of a neighbour"), grace)
			}
			if reaches(own4, b4) || reaches(own6, b6) {
				t.Error("a reaches b")
			}
			tool(t, "nft", "delete", "table", "inet", "vmsilo")
			if !reaches(own4, b4) || !reaches(own6, b6) {
				t.Error("a does not reach b without the firewall either")
			}
		})
	}
}

// TestIsolation has guests on one bridge, where the host has an address, try each other, straight and through the host. That has the
// bridge's MAC address there, which is that of a port that came later, and that of the guest's own port.
func TestIsolation(t *testing.T) {
	for name, c := range map[string]struct {
		option string
		nic    bool
		a, b   byte
	}{
		"open":           {"--isolated=false", true, 0xa, 0xb},
		"with a NIC":     {"--isolated=true", true, 0xa, 0xb},
		"alone":          {"--isolated=true", false, 0xa, 0xb},
		"in other order": {"--isolated=true", false, 0xb, 0xa},
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t)
			forwardAll(t)
			places[1].prepare(t)
			if c.nic {
				mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "nic"}, PeerName: "far"})
				tool(t, "ip", "link", "set", "nic", "master", "br0")
			}
			folder := t.TempDir()
			a := newGuest(t, folder, "a", c.a, "--bridge=br0", c.option, addressesOfA)
			b := newGuest(t, folder, "b", c.b, "--bridge=br0", c.option, "--addresses=10.9.0.3/24,fd09::3/64")
			awaitForwarding(t, a.tap, b.tap)
			b.knownTo("br0", others4, others6)
			straight := func(own, other string) bool {
				a.send(frameFrom(a.mac, b.mac, kindOf(own), packet(own, other, unix.IPPROTO_UDP, udp(1000, 7, "the mark of a neighbour"))))
				return b.receives([]byte("the mark of a neighbour"), grace)
			}
			around := func(device, own, other string) bool {
				a.sendTo(device, packet(own, other, unix.IPPROTO_UDP, udp(1000, 7, "the mark of a detour")))
				return b.receives([]byte("the mark of a detour"), grace)
			}
			each := func(check func(own, other, device string)) {
				for own, other := range map[string]string{own4: others4, own6: others6} {
					check(own, other, "br0")
					check(own, other, a.tap)
				}
			}
			each(func(own, other, device string) {
				if got := straight(own, other); got != (c.option == "--isolated=false") {
					t.Errorf("%s reaches %s: %v", own, other, got)
				}
				if around(device, own, other) {
					t.Errorf("%s reaches %s through the host by the address of %s", own, other, device)
				}
			})
			// One that nobody has looked at.
			tool(t, "ip", "link", "set", "br0", "address", "52:00:00:00:00:99")
			b.knownTo("br0", others4, others6)
			each(func(own, other, device string) {
				if around(device, own, other) {
					t.Errorf("%s reaches %s through the host by the address of %s, when the bridge has another", own, other, device)
				}
			})
			tool(t, "nft", "delete", "table", "inet", "vmsilo")
			each(func(own, other, device string) {
				if around(device, own, other) {
					t.Errorf("%s reaches %s through the host by the address of %s, without the table of all guests", own, other, device)
				}
			})
			tool(t, "nft", "delete", "chain", "netdev", "vmsilo-"+a.tap, "detour")
			each(func(own, other, device string) {
				if !around(device, own, other) {
					t.Errorf("%s does not reach %s through the host by the address of %s without the firewall either", own, other, device)
				}
			})
		})
	}
}

// forwardAll has the host forward everything, as others have it do.
func forwardAll(t *testing.T) {
	tool(t, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
}

// knownTo tells the host where the guest's addresses are.
func (g *guest) knownTo(device string, addresses ...string) {
	g.Helper()
	for _, a := range addresses {
		tool(g.T, "ip", "neighbour", "replace", a, "lladdr", g.mac.String(), "dev", device)
	}
}

// newOther is somebody else on the bridge br0.
func newOther(t *testing.T, tap string, number byte) *guest {
	t.Helper()
	tool(t, "ip", "tuntap", "add", tap, "mode", "tap", "vnet_hdr", "one_queue")
	tool(t, "ip", "link", "set", tap, "master", "br0", "up")
	g := &guest{T: t, tap: tap, mac: net.HardwareAddr{0x52, 0, 0, 0, 0, number}}
	g.attach()
	return g
}

// sendTo sends a packet to the host, or through it.
func (g *guest) sendTo(device string, packet []byte) {
	g.Helper()
	link, err := netlink.LinkByName(device)
	if err != nil {
		g.Fatal(err)
	}
	kind := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	g.send(frameFrom(g.mac, link.Attrs().HardwareAddr, kind, packet))
}
