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

	"vmsilo/tests/frames"
)

// A guest a has 10.9.0.2 and fd09::2, and its neighbour b 10.9.0.3 and fd09::3.
const (
	own4, own6       = "10.9.0.2", "fd09::2"
	others4, others6 = "10.9.0.3", "fd09::3"
	addressesOfA     = "--addresses=10.9.0.2/24,fd09::2/64"
	everybody6       = "ff02::1"
)

// linkOf is where the guest a with that MAC address sends.
func linkOf(mac net.HardwareAddr) frames.Link {
	return frames.Link{
		MAC: mac, Own4: own4, Own6: own6,
		OtherMAC: net.HardwareAddr{0x52, 0, 0, 0, 0, 0xb}, Other4: others4, Other6: others6,
		Host4: "10.9.0.1", Host6: "fd09::1",
	}
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
			link := linkOf(a.mac)
			filters(a, passes, link.Good(""), link.Bad(""))
		})
	}
}

func TestFragments(t *testing.T) {
	namespace(t)
	a, passes := routed(t)
	good, bad := linkOf(a.mac).Fragments()
	filters(a, passes, good, bad)
}

// filters fails the test when what is good does not pass, or what is bad does, and when that does not without the filter either.
func filters(g *guest, passes observer, good, bad []frames.Named) {
	for _, frame := range good {
		if !passes(frame.Bytes) {
			g.Errorf("%s is dropped", frame.Name)
		}
	}
	for _, frame := range bad {
		if passes(frame.Bytes) {
			g.Errorf("%s got through", frame.Name)
		}
	}
	tool(g.T, "nft", "delete", "table", "netdev", "vmsilo-"+g.tap)
	for _, frame := range bad {
		if !passes(frame.Bytes) {
			g.Errorf("%s does not get through without the filter either", frame.Name)
		}
	}
}

func routed(t *testing.T) (*guest, observer) { return routedWith(t, addressesOfA) }

func routedWith(t *testing.T, more ...string) (*guest, observer) {
	a := newGuest(t, t.TempDir(), "a", 0xa, append(more, "--host-address=10.9.0.1/24,fd09::1/64")...)
	return a, func(frame []byte) bool {
		kind := uint16(frame[12])<<8 | uint16(frame[13])
		switch kind {
		case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
			kind = uint16(frame[16])<<8 | uint16(frame[17])
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
		// br_netfilter cuts off what fills a frame up.
		return b.receives(bytes.TrimRight(frame[6:], "\x00"), grace)
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
