package frames

import (
	"bytes"
	"net"

	"golang.org/x/sys/unix"
)

// Link is where a guest sends: who it is there, whom else there is, and where the host is.
type Link struct {
	// MAC and the addresses are the guest's own. It was given them.
	MAC        net.HardwareAddr
	Own4, Own6 string
	// OtherMAC and the other addresses are somebody else's.
	OtherMAC       net.HardwareAddr
	Other4, Other6 string
	// Host4 and Host6 are the addresses of the host, or of whoever is in its place.
	Host4, Host6 string
}

// Named is a frame that holds its name, between Begin and End: where that does not change what the frame is, and where nobody
// on the way cuts it off, as br_netfilter does with what follows a packet in its frame.
type Named struct {
	Name  string
	Bytes []byte
}

// Begin and End are around the name of a frame.
const (
	Begin, End = "<<", ">>"
	everybody4 = "255.255.255.255"
	everybody6 = "ff02::1"
)

// Good returns what a guest may send. Each name begins with the place.
func (l Link) Good(place string) []Named {
	c := &collector{place: place}
	c.udp("IPv4", l.MAC, l.Own4, everybody4)
	c.udp("IPv6", l.MAC, l.Own6, everybody6)
	c.udp("IPv6, link-local", l.MAC, LinkLocal(l.MAC), everybody6)
	c.arp("ARP request", l.MAC, ARP(1, l.MAC, l.Own4, l.Other4))
	c.arp("ARP probe", l.MAC, ARP(1, l.MAC, "0.0.0.0", l.Own4))
	c.arp("ARP announcement", l.MAC, ARP(2, l.MAC, l.Own4, l.Own4))
	c.nd("neighbour solicitation", l.MAC, l.Own6, Solicited(l.Other6), about(neighbourSolicit, l.Other6))
	c.nd("neighbour advertisement", l.MAC, l.Own6, everybody6, about(neighbourAdvert, l.Own6))
	c.nd("is the address taken", l.MAC, "::", Solicited(l.Own6), about(neighbourSolicit, l.Own6))
	return c.frames
}

// Bad returns attacks, none of which may leave the guest's TAP. Each name begins with the place.
func (l Link) Bad(place string) []Named {
	c := &collector{place: place}
	l.spoofed(c)
	l.claims4(c)
	l.claims6(c)
	l.types(c)
	return c.frames
}

// spoofed adds packets from addresses that are not the guest's.
func (l Link) spoofed(c *collector) {
	c.udp("another MAC, IPv4", l.OtherMAC, l.Own4, everybody4)
	c.udp("another MAC, IPv6", l.OtherMAC, l.Own6, everybody6)
	c.arp("another MAC, ARP", l.OtherMAC, ARP(1, l.MAC, l.Own4, l.Other4))
	c.udp("another's IPv4 address", l.MAC, l.Other4, everybody4)
	c.udp("the host's IPv4 address", l.MAC, l.Host4, everybody4)
	c.udp("an IPv4 address of elsewhere", l.MAC, "9.9.9.9", everybody4)
	c.ip("no IPv4 address", l.MAC, "0.0.0.0", everybody4, unix.IPPROTO_UDP, UDP(68, 67, c.mark("no IPv4 address")))
	c.udp("IPv4 to loopback", l.MAC, l.Own4, "127.0.0.1")
	c.udp("another's IPv6 address", l.MAC, l.Other6, everybody6)
	c.udp("the host's IPv6 address", l.MAC, l.Host6, everybody6)
	c.udp("an IPv6 address of elsewhere", l.MAC, "2001:db8:99::9", everybody6)
	c.udp("another's link-local address", l.MAC, LinkLocal(l.OtherMAC), everybody6)
	c.udp("no IPv6 address", l.MAC, "::", everybody6)
}

// claims4 adds claims of IPv4 addresses, and of a route.
func (l Link) claims4(c *collector) {
	c.arp("ARP, another's address", l.MAC, ARP(1, l.MAC, l.Other4, l.Own4))
	c.arp("ARP, the host's address", l.MAC, ARP(2, l.MAC, l.Host4, l.Host4))
	c.arp("ARP, another's MAC", l.MAC, ARP(2, l.OtherMAC, l.Own4, l.Own4))
	c.arp("ARP, a probe for another's", l.MAC, ARP(1, l.MAC, "0.0.0.0", l.Other4))
	c.arp("ARP, of another network", l.MAC, append([]byte{0, 6}, ARP(1, l.MAC, l.Own4, l.Other4)[2:]...))
	// The way is told for a packet of the host's, which is said to have come.
	lost := Packet(l.Host4, "9.9.9.9", unix.IPPROTO_UDP, UDP(1000, 7, c.mark("ICMP redirect")))
	c.ip("ICMP redirect", l.MAC, l.Own4, l.Host4, unix.IPPROTO_ICMP, bytes.Join([][]byte{{5, 1, 0, 0}, IP(l.Own4), lost}, nil))
}

// claims6 adds claims of IPv6 addresses, and of routes.
func (l Link) claims6(c *collector) {
	here := append([]byte{2, 1}, l.MAC...)
	c.nd("advertisement for another", l.MAC, l.Own6, everybody6, append(about(neighbourAdvert, l.Other6), here...))
	c.nd("advertisement for the host", l.MAC, l.Own6, everybody6, append(about(neighbourAdvert, l.Host6), here...))
	c.nd("advertisement for another, as it", l.MAC, l.Other6, everybody6, append(about(neighbourAdvert, l.Other6), here...))
	c.nd("is another's address taken", l.MAC, "::", Solicited(l.Other6), about(neighbourSolicit, l.Other6))
	c.nd("router advertisement", l.MAC, LinkLocal(l.MAC), everybody6, []byte{routerAdvert, 0, 0, 0, 64, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})
	c.nd("redirect", l.MAC, LinkLocal(l.MAC), everybody6, append(about(redirect6, l.Other6), IP(l.Own6)...))
	// A header of options without any, and then the header that follows.
	const hidden = "advertisement for another, behind a header"
	inner := append(about(neighbourAdvert, l.Other6), append(here, c.option(hidden)...)...)
	inner = Packet(l.Own6, everybody6, unix.IPPROTO_ICMPV6, inner)[40:]
	c.ip(hidden, l.MAC, l.Own6, everybody6, unix.IPPROTO_DSTOPTS, append([]byte{unix.IPPROTO_ICMPV6, 0, 1, 4, 0, 0, 0, 0}, inner...))
}

// types adds frames that are neither ARP nor IP, or hide that they are.
func (l Link) types(c *collector) {
	for name, kind := range map[string]uint16{"another type: LLDP": unix.ETH_P_LLDP, "another type: PPPoE": unix.ETH_P_PPP_DISC} {
		c.add(name, Frame(l.MAC, Broadcast, kind, []byte(c.mark(name))))
	}
	const length = "a length in the place of types"
	c.add(length, Frame(l.MAC, Broadcast, minFrame-14, append([]byte{0x42, 0x42, 3}, c.mark(length)...)))
	for _, tag := range []struct {
		name string
		kind uint16
	}{{"a VLAN", unix.ETH_P_8021Q}, {"a VLAN of a provider", unix.ETH_P_8021AD}} {
		for name, ends := range map[string][2]string{tag.name + ", IPv4": {l.Own4, everybody4}, tag.name + ", IPv6": {l.Own6, everybody6}} {
			kind := KindOf(ends[0])
			c.add(name, Frame(l.MAC, Broadcast, tag.kind, []byte{0, 5, byte(kind >> 8), byte(kind)},
				Packet(ends[0], ends[1], unix.IPPROTO_UDP, UDP(1000, 7, c.mark(name)))))
		}
	}
}
