package main

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A guest a has 10.9.0.2 and fd09::2, and its neighbour b 10.9.0.3 and fd09::3.
const (
	own4, own6           = "10.9.0.2", "fd09::2"
	others4, others6     = "10.9.0.3", "fd09::3"
	ownLink, othersLink  = "fe80::5000:ff:fe00:a", "fe80::5000:ff:fe00:b"
	addressesOfA         = "--addresses=10.9.0.2/24,fd09::2/64"
	everybody6, routers6 = "ff02::1", "ff02::2"
)

// frames returns what a guest sends with its own MAC and addresses, and attacks.
func frames(mac net.HardwareAddr) (good, bad map[string][]byte) {
	other := net.HardwareAddr{0x52, 0, 0, 0, 0, 0xb}
	from := func(kind uint16, payload []byte) []byte { return frameFrom(mac, broadcast, kind, payload) }
	mark := udp(1000, 7, "the mark of this packet")
	nd := func(kind byte, target string, option ...byte) []byte {
		return bytes.Join([][]byte{{kind, 0, 0, 0, 0x20, 0, 0, 0}, ip(target), option}, nil)
	}
	advert := nd(neighbourAdvert, others6, append([]byte{2, 1}, mac...)...)
	// A header of options without any, and then the header that follows.
	behind := func(protocol byte, payload []byte) []byte {
		return append([]byte{protocol, 0, 1, 4, 0, 0, 0, 0}, payload...)
	}
	icmp := packet(own6, everybody6, unix.IPPROTO_ICMPV6, advert)[40:]
	tagged := func(tag uint16, payload []byte) []byte {
		return frameFrom(mac, broadcast, tag, []byte{0, 5, 8, 0}, payload)
	}
	good = map[string][]byte{
		"IPv4":                    from(unix.ETH_P_IP, packet(own4, "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"IPv6":                    from(unix.ETH_P_IPV6, packet(own6, everybody6, unix.IPPROTO_UDP, mark)),
		"IPv6, link-local":        from(unix.ETH_P_IPV6, packet(ownLink, everybody6, unix.IPPROTO_UDP, mark)),
		"ARP request":             from(unix.ETH_P_ARP, arp(1, mac, own4, others4)),
		"ARP probe":               from(unix.ETH_P_ARP, arp(1, mac, "0.0.0.0", own4)),
		"ARP announcement":        from(unix.ETH_P_ARP, arp(2, mac, own4, own4)),
		"neighbour solicitation":  from(unix.ETH_P_IPV6, packet(own6, "ff02::1:ff00:3", unix.IPPROTO_ICMPV6, nd(neighbourSolicit, others6))),
		"neighbour advertisement": from(unix.ETH_P_IPV6, packet(own6, everybody6, unix.IPPROTO_ICMPV6, nd(neighbourAdvert, own6))),
		"is the address taken":    from(unix.ETH_P_IPV6, packet("::", "ff02::1:ff00:2", unix.IPPROTO_ICMPV6, nd(neighbourSolicit, own6))),
	}
	bad = map[string][]byte{
		"another MAC":                    frameFrom(other, broadcast, unix.ETH_P_IP, packet(own4, "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"another MAC, IPv6":              frameFrom(other, broadcast, unix.ETH_P_IPV6, packet(own6, everybody6, unix.IPPROTO_UDP, mark)),
		"another MAC, ARP":               frameFrom(other, broadcast, unix.ETH_P_ARP, arp(1, mac, own4, others4)),
		"another's IPv4 address":         from(unix.ETH_P_IP, packet(others4, "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"the host's IPv4 address":        from(unix.ETH_P_IP, packet("10.9.0.1", "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"an IPv4 address of elsewhere":   from(unix.ETH_P_IP, packet("9.9.9.9", "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"no IPv4 address":                from(unix.ETH_P_IP, packet("0.0.0.0", "255.255.255.255", unix.IPPROTO_UDP, udp(68, 67, "the mark of this packet of DHCP"))),
		"IPv4 to loopback":               from(unix.ETH_P_IP, packet(own4, "127.0.0.1", unix.IPPROTO_UDP, mark)),
		"ICMP redirect":                  from(unix.ETH_P_IP, packet(own4, "10.9.0.1", unix.IPPROTO_ICMP, append([]byte{5, 1, 0, 0, 10, 9, 0, 2}, packet("10.9.0.1", "9.9.9.9", unix.IPPROTO_UDP, mark)...))),
		"another's IPv6 address":         from(unix.ETH_P_IPV6, packet(others6, everybody6, unix.IPPROTO_UDP, mark)),
		"another's link-local address":   from(unix.ETH_P_IPV6, packet(othersLink, everybody6, unix.IPPROTO_UDP, mark)),
		"no IPv6 address":                from(unix.ETH_P_IPV6, packet("::", everybody6, unix.IPPROTO_UDP, mark)),
		"ARP, another's address":         from(unix.ETH_P_ARP, arp(1, mac, others4, own4)),
		"ARP, the host's address":        from(unix.ETH_P_ARP, arp(2, mac, "10.9.0.1", "10.9.0.1")),
		"ARP, another's MAC":             from(unix.ETH_P_ARP, arp(2, other, own4, own4)),
		"ARP, a probe for another's":     from(unix.ETH_P_ARP, arp(1, mac, "0.0.0.0", others4)),
		"ARP, of another network":        from(unix.ETH_P_ARP, append([]byte{0, 6}, arp(1, mac, own4, others4)[2:]...)),
		"advertisement for another":      from(unix.ETH_P_IPV6, packet(own6, everybody6, unix.IPPROTO_ICMPV6, advert)),
		"the same behind a header":       from(unix.ETH_P_IPV6, packet(own6, everybody6, unix.IPPROTO_DSTOPTS, behind(unix.IPPROTO_ICMPV6, icmp))),
		"the same, as another":           from(unix.ETH_P_IPV6, packet(others6, everybody6, unix.IPPROTO_ICMPV6, advert)),
		"is another's address taken":     from(unix.ETH_P_IPV6, packet("::", "ff02::1:ff00:3", unix.IPPROTO_ICMPV6, nd(neighbourSolicit, others6))),
		"router advertisement":           from(unix.ETH_P_IPV6, packet(ownLink, everybody6, unix.IPPROTO_ICMPV6, []byte{routerAdvert, 0, 0, 0, 64, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})),
		"redirect":                       from(unix.ETH_P_IPV6, packet(ownLink, everybody6, unix.IPPROTO_ICMPV6, append(nd(redirect6, others6), ip(own6)...))),
		"another type: LLDP":             from(unix.ETH_P_LLDP, []byte("the mark of LLDP")),
		"another type: PPPoE":            from(unix.ETH_P_PPP_DISC, []byte("the mark of PPPoE")),
		"a length in the place of types": from(46, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}),
		"a VLAN":                         tagged(unix.ETH_P_8021Q, packet(own4, "10.9.0.255", unix.IPPROTO_UDP, mark)),
		"a VLAN of a provider":           tagged(unix.ETH_P_8021AD, packet(own4, "10.9.0.255", unix.IPPROTO_UDP, mark)),
	}
	return good, bad
}

// observer tells whether a frame got past the filter: on a bridge where the neighbour sees it, and else where protocols
// above Ethernet do.
type observer func(frame []byte) bool

// TestFrames sends everything with the filter, and then without it: an attack that cannot succeed proves nothing.
func TestFrames(t *testing.T) {
	for name, world := range map[string]func(*testing.T) (*guest, observer){"routed": routed, "bridge": bridged, "netvm": ofNetVM} {
		t.Run(name, func(t *testing.T) {
			namespace(t)
			a, passes := world(t)
			good, bad := frames(a.mac)
			for what, frame := range good {
				if !passes(frame) {
					t.Errorf("%s is dropped", what)
				}
			}
			for what, frame := range bad {
				if passes(frame) {
					t.Errorf("%s got through", what)
				}
			}
			tool(t, "nft", "delete", "table", "netdev", "vmsilo-"+a.tap)
			for what, frame := range bad {
				if !passes(frame) {
					t.Errorf("%s does not get through without the filter either", what)
				}
			}
		})
	}
}

func routed(t *testing.T) (*guest, observer) { return routedWith(t, addressesOfA) }

func routedWith(t *testing.T, more ...string) (*guest, observer) {
	a := newGuest(t, t.TempDir(), "a", 0xa, append(more, "--host-address=10.9.0.1/24,fd09::1/64")...)
	return a, func(frame []byte) bool {
		kind := uint16(frame[12])<<8 | uint16(frame[13])
		switch kind {
		case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
			kind = unix.ETH_P_IP
		case 46:
			kind = unix.ETH_P_802_2
		}
		// Unlike one for all types, this is behind the filter: __netif_receive_skb_core() of net/core/dev.c.
		link, err := netlink.LinkByName(a.tap)
		if err != nil {
			t.Fatal(err)
		}
		swapped := kind<<8 | kind>>8
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(swapped))
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "packets")
		defer file.Close()
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swapped, Ifindex: link.Attrs().Index}); err != nil {
			t.Fatal(err)
		}
		a.send(frame)
		deadline := time.Now().Add(grace)
		for buffer := make([]byte, 2048); time.Now().Before(deadline); {
			n, _, err := unix.Recvfrom(fd, buffer, 0)
			// A VLAN's tag has been taken off.
			if err == nil && bytes.HasSuffix(buffer[:n], frame[len(frame)-24:]) && bytes.Equal(buffer[6:12], frame[6:12]) {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	}
}

func bridged(t *testing.T) (*guest, observer) { return bridgedWith(t, addressesOfA) }

func bridgedWith(t *testing.T, more ...string) (*guest, observer) {
	folder := t.TempDir()
	a := newGuest(t, folder, "a", 0xa, append(more, "--bridge=br0", "--isolated=false")...)
	b := newGuest(t, folder, "b", 0xb, "--bridge=br0", "--isolated=false")
	awaitForwarding(t, "a-22", "b-22")
	return a, func(frame []byte) bool {
		a.send(frame)
		return b.receives(frame[6:], grace)
	}
}

// awaitForwarding waits until the ports of a bridge send on what they get.
func awaitForwarding(t *testing.T, ports ...string) {
	t.Helper()
	for _, port := range ports {
		for deadline := time.Now().Add(5 * time.Second); !strings.Contains(tool(t, "bridge", "-d", "link", "show", "dev", port), "state forwarding"); {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not forward", port)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
