package main

import (
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What somebody else on the bridge br0 has.
const somebody4, somebody6 = "10.9.0.77", "fd09::77"

// across is a guest a, and a guest b and somebody else x on the bridge br0, which is not vmsilo's and where the host has an address.
type across struct {
	// ofA and ofB are what a and b are made with. a has guest4 and guest6, and b others4 and others6.
	ofA, ofB []string
	// first tells that b is there before a, and onTop that the host has its addresses on top of the bridge.
	first, onTop bool

	a, b, x *guest
	// device is where a finds the host, and way where the host finds b.
	device, way string
}

// TestAcrossToBridge has guests try one on a bridge of somebody else's: one that has been given addresses, and one that has not. What
// else is on that bridge they reach, and so does the other one.
func TestAcrossToBridge(t *testing.T) {
	bridged := func(bridge string) []string {
		return []string{"--bridge=" + bridge, "--addresses=" + guest4 + "/24," + guest6 + "/64"}
	}
	numbered := []string{"--addresses=" + others4 + "/24," + others6 + "/64"}
	for name, c := range map[string]across{
		"nat":                              {ofA: natArgs, ofB: numbered},
		"bridge":                           {ofA: bridged("br1"), ofB: numbered},
		"nat, to one without addresses":    {ofA: natArgs},
		"nat, to one that was there":       {ofA: natArgs, first: true},
		"nat, by what is on top":           {ofA: natArgs, onTop: true},
		"bridge, to one without addresses": {ofA: bridged("br1")},
		"same bridge, by what is on top":   {ofA: bridged("br0"), onTop: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.make(t)
			if got := c.reached(c.b, others4, others6); got != nil {
				t.Errorf("a reaches b by %q", got)
			}
			if got := c.reached(c.x, somebody4, somebody6); len(got) != 6 {
				t.Errorf("a reaches somebody else there by %q alone", got)
			}
			c.othersReach(t)
			if c.ofB != nil {
				tool(t, "nft", "delete", "table", "inet", "vmsilo")
			} else {
				tool(t, "nft", "delete", "chain", "netdev", "vmsilo-"+c.b.tap, "egress")
			}
			if got := c.reached(c.b, others4, others6); len(got) != 6 {
				t.Errorf("without the firewall a reaches b by %q alone", got)
			}
			for _, g := range []*guest{c.a, c.b} {
				g.file.Close()
				mustRun(t, "remove", g.record)
			}
			if left := tool(t, "nft", "list", "ruleset"); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// make makes all of it.
func (c *across) make(t *testing.T) {
	namespace(t)
	forwardAll(t)
	places[1].prepare(t)
	c.way = "br0"
	if c.onTop {
		// A VLAN's interface is one such.
		c.way = "top"
		tool(t, "ip", "address", "flush", "dev", "br0")
		tool(t, "ip", "link", "add", "top", "link", "br0", "type", "macvlan", "mode", "bridge")
		tool(t, "ip", "link", "set", "top", "up")
		addressed(t, "top", "10.9.0.1/24", "fd09::1/64")
	}
	c.device = map[string]string{"--nat": "a-22", "--bridge=br0": c.way, "--bridge=br1": "br1"}[c.ofA[0]]
	if c.device == "br1" {
		mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br1"}})
	}
	if c.device != "a-22" {
		addressed(t, c.device, host4+"/24", host6+"/64")
	}
	c.x = newOther(t, "x-22", 0x71)
	folder := t.TempDir()
	for _, isB := range []bool{c.first, !c.first} {
		if isB {
			c.b = newGuest(t, folder, "b", 0xb, append([]string{"--bridge=br0"}, c.ofB...)...)
		} else {
			c.a = newGuest(t, folder, "a", 0xa, c.ofA...)
		}
	}
	awaitForwarding(t, c.b.tap, c.x.tap)
	if c.device != "a-22" {
		awaitForwarding(t, c.a.tap)
	}
	c.a.knownTo(c.device, guest4, guest6)
	c.b.knownTo(c.way, others4, others6)
	c.x.knownTo(c.way, somebody4, somebody6)
}

// reached returns by what a reaches somebody through the host, of six: three protocols of each family.
func (c *across) reached(to *guest, address4, address6 string) (got []string) {
	const mark = "the mark of a neighbour"
	ping := func(kind byte) []byte { return append([]byte{kind, 0, 0, 0, 0, 1, 0, 1}, mark...) }
	// What masquerading leaves of a SYN is from the destination's port to the checksum.
	open := syn(1000, 7)
	for _, p := range []struct {
		from, to      string
		protocol      byte
		payload, mark []byte
	}{
		{guest4, address4, unix.IPPROTO_UDP, udp(1000, 7, mark), []byte(mark)},
		{guest4, address4, unix.IPPROTO_TCP, open, open[2:16]},
		{guest4, address4, unix.IPPROTO_ICMP, ping(8), []byte(mark)},
		{guest6, address6, unix.IPPROTO_UDP, udp(1000, 7, mark), []byte(mark)},
		{guest6, address6, unix.IPPROTO_TCP, open, open[2:16]},
		{guest6, address6, unix.IPPROTO_ICMPV6, ping(128), []byte(mark)},
	} {
		c.a.sendTo(c.device, packet(p.from, p.to, p.protocol, p.payload))
		if to.receives(p.mark, grace) {
			got = append(got, fmt.Sprintf("protocol %d to %s", p.protocol, p.to))
		}
	}
	return got
}

// othersReach finds that the answers of x come back to a, where the host has asked for it, and that x and the host reach b.
func (c *across) othersReach(t *testing.T) {
	for own, others := range map[string][2]string{somebody4: {"10.9.0.1", others4}, somebody6: {"fd09::1", others6}} {
		c.x.sendTo(c.way, packet(own, others[0], unix.IPPROTO_UDP, udp(7, 1000, "an answer")))
		if c.device == "a-22" && !c.a.receives([]byte("an answer"), grace) {
			t.Errorf("a does not hear the answer of %s", own)
		}
		c.x.send(frameFrom(c.x.mac, c.b.mac, kindOf(own), packet(own, others[1], unix.IPPROTO_UDP, udp(1000, 7, "a word of somebody else"))))
		if !c.b.receives([]byte("a word of somebody else"), grace) {
			t.Errorf("somebody else there does not reach b at %s", others[1])
		}
		host, err := net.Dial("udp", net.JoinHostPort(others[1], "7"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(host, "a word of the host")
		host.Close()
		if !c.b.receives([]byte("a word of the host"), grace) {
			t.Errorf("the host does not reach b at %s", others[1])
		}
	}
}
