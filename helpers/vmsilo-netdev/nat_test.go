package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestMain lets the test's own binary be vmsilo-netdev, for what needs processes.
func TestMain(m *testing.M) {
	if os.Getenv("BE_NETDEV") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// netdev returns vmsilo-netdev as a process in the namespace of the caller.
func netdev(args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), "BE_NETDEV=1")
	return c
}

// What a VM with id 3 has by itself.
const (
	host4, host6   = "10.200.0.96", "fd5c:9a3e:71b0::60"
	guest4, guest6 = "10.200.0.97", "fd5c:9a3e:71b0::61"
)

var natArgs = []string{"--nat", "--host-address=" + host4 + "/31," + host6 + "/127", "--addresses=" + guest4 + "/31," + guest6 + "/127"}

// inet gives the caller's namespace an interface eth0, and returns the namespace that plays the internet behind it:
// 198.51.100.1 and 2001:db8:1::1, where everything else is, too.
func inet(t *testing.T) (internet *os.File) {
	t.Helper()
	internet = namespace(t)
	host := namespace(t)
	within(t, internet, func() {
		mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "peer"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(host.Fd()))})
		for _, a := range []string{"198.51.100.1/24", "2001:db8:1::1/64"} {
			tool(t, "ip", "address", "add", a, "dev", "peer", "nodad")
		}
		for _, a := range []string{"203.0.113.53/32", "2001:db8:2::53/128"} {
			tool(t, "ip", "address", "add", a, "dev", "lo")
		}
	})
	tool(t, "ip", "link", "set", "eth0", "up")
	for _, a := range []string{"198.51.100.2/24", "2001:db8:1::2/64"} {
		tool(t, "ip", "address", "add", a, "dev", "eth0", "nodad")
	}
	tool(t, "ip", "route", "add", "default", "via", "198.51.100.1")
	tool(t, "ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
	return internet
}

// oldKernel hides that each interface has a switch of its own for IPv6, as before Linux 6.17.
func oldKernel(t *testing.T) {
	if hasSwitches() {
		if err := unix.Mount("/dev/null", conf6+"/all/force_forwarding", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNAT has a guest talk to the internet, with the host's settings and rules before and after the same.
func TestNAT(t *testing.T) {
	for name, kernel := range map[string]func(*testing.T){"new": func(*testing.T) {}, "old": oldKernel} {
		t.Run(name, func(t *testing.T) {
			internet := inet(t)
			kernel(t)
			tool(t, "nft", "add table inet other; add chain inet other forward { type filter hook forward priority 0; }")
			tool(t, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1")
			before := state(t)
			g := newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
			g.knownTo(g.tap, guest4, guest6)
			g.asks(internet, guest4, "203.0.113.53", "198.51.100.2")
			g.asks(internet, guest6, "2001:db8:2::53", "2001:db8:1::2")
			if name == "old" && get(conf6+"/eth0/accept_ra") != "2" {
				t.Error("router advertisements are not taken any more")
			}
			g.file.Close()
			mustRun(t, "remove", g.record)
			if after := state(t); after != before {
				t.Error(difference(before, after))
			}
		})
	}
}

// TestLaterUplink has an interface come while the guest runs: a refresh makes it a way out as those are that were there.
func TestLaterUplink(t *testing.T) {
	for name, kernel := range map[string]func(*testing.T){"new": func(*testing.T) {}, "old": oldKernel} {
		t.Run(name, func(t *testing.T) {
			inet(t)
			kernel(t)
			before := state(t)
			g := newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
			g.knownTo(g.tap, guest4, guest6)
			other := mustOtherNetwork(t)
			mustRun(t, "refresh", filepath.Dir(g.record))
			g.asks(other, guest4, "10.55.0.9", "10.55.0.1")
			g.asks(other, guest6, "fd55::9", "fd55::1")
			g.file.Close()
			mustRun(t, "remove", g.record)
			tool(t, "ip", "link", "delete", "eth1")
			if after := state(t); after != before {
				t.Error(difference(before, after))
			}
		})
	}
}

// patience is for a packet that waits for the host to find its neighbour, of whom the host asks once a second: the first
// question is lost where a link has only just come up.
const patience = 5 * time.Second

// asks has the guest send to an address, and the answer come back; the host has another address there.
func (g *guest) asks(internet *os.File, own, address, masked string) {
	g.Helper()
	var c net.PacketConn
	within(g.T, internet, func() {
		var err error
		if c, err = net.ListenPacket("udp", net.JoinHostPort(address, "7")); err != nil {
			g.Fatal(err)
		}
	})
	defer c.Close()
	g.sendTo(g.tap, packet(own, address, unix.IPPROTO_UDP, udp(1000, 7, "a question")))
	c.SetReadDeadline(time.Now().Add(patience))
	_, asker, err := c.ReadFrom(make([]byte, 100))
	if err != nil {
		g.Errorf("%s was not reached: %v", address, err)
		return
	}
	if got := asker.(*net.UDPAddr).IP.String(); got != masked {
		g.Errorf("%s was asked by %s, want %s", address, got, masked)
	}
	c.WriteTo([]byte("the answer of "+address), asker)
	if !g.receives([]byte("the answer of "+address), patience) {
		g.Errorf("the answer of %s did not come back", address)
	}
}

// TestClosed has the internet send through the host, which forwards for a guest, to the guest and to another network.
func TestClosed(t *testing.T) {
	for name, kernel := range map[string]func(*testing.T){"new": func(*testing.T) {}, "old": oldKernel} {
		t.Run(name, func(t *testing.T) {
			internet := inet(t)
			kernel(t)
			const lan4, lan6 = "10.55.0.9", "fd55::9"
			other := mustOtherNetwork(t)
			g := newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
			g.knownTo(g.tap, guest4, guest6)
			within(t, internet, func() {
				tool(t, "ip", "route", "add", "10.0.0.0/8", "via", "198.51.100.2")
				tool(t, "ip", "-6", "route", "add", "fc00::/7", "via", "2001:db8:1::2")
			})
			var heard4, heard6 func() int
			within(t, other, func() { heard4, heard6 = heard(t, "udp", lan4+":7"), heard(t, "udp", "["+lan6+"]:7") })
			send := func(address string) {
				within(t, internet, func() {
					c, err := net.Dial("udp", net.JoinHostPort(address, "7"))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					c.Write([]byte("from outside to " + address))
				})
			}
			reached := func() (who []string) {
				for address, count := range map[string]func() int{lan4: heard4, lan6: heard6} {
					if send(address); count() > 0 {
						who = append(who, address)
					}
				}
				for _, address := range []string{guest4, guest6} {
					if send(address); g.receives([]byte("from outside to "+address), grace) {
						who = append(who, address)
					}
				}
				return who
			}
			if who := reached(); who != nil {
				t.Errorf("reached from outside: %q", who)
			}
			// Others have the host forward by now.
			forwardAll(t)
			mustRun(t, "refresh", filepath.Dir(g.record))
			want := []string{lan4, lan6}
			if name == "old" {
				// There is no telling whose that is.
				want = []string{lan4}
			}
			if who := reached(); !slices.Equal(slices.Sorted(slices.Values(who)), want) {
				t.Errorf("reached from outside when others forward: %q, want %q", who, want)
			}
			tool(t, "nft", "delete", "table", "inet", "vmsilo")
			if who := reached(); len(who) != 4 {
				t.Errorf("without the firewall only these are reached from outside: %q", who)
			}
		})
	}
}

// TestOthersOnBridge has others on a bridge of theirs, where the host is between two networks: what it does not forward to them
// by itself it does not for a guest's sake either.
func TestOthersOnBridge(t *testing.T) {
	for name, kernel := range map[string]func(*testing.T){"new": func(*testing.T) {}, "old": oldKernel} {
		t.Run(name, func(t *testing.T) {
			inet(t)
			kernel(t)
			places[1].prepare(t)
			tool(t, "ip", "address", "add", "10.77.0.1/24", "dev", "br0")
			tool(t, "ip", "address", "add", "fd77::1/64", "dev", "br0", "nodad")
			var others [2]*guest
			for n, name := range []string{"x-22", "y-22"} {
				others[n] = newOther(t, name, byte(0x71+n))
				tool(t, "bridge", "link", "set", "dev", name, "isolated", "on")
			}
			x, y := others[0], others[1]
			awaitForwarding(t, x.tap, y.tap)
			y.knownTo("br0", "10.77.0.5", "fd77::5")
			reached := func() (who []string) {
				for own, other := range map[string]string{"10.9.0.9": "10.77.0.5", "fd09::9": "fd77::5"} {
					x.sendTo("br0", packet(own, other, unix.IPPROTO_UDP, udp(1000, 7, "the mark of others")))
					if y.receives([]byte("the mark of others"), grace) {
						who = append(who, other)
					}
				}
				return who
			}
			newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
			if who := reached(); who != nil {
				t.Errorf("reached: %q", who)
			}
			tool(t, "nft", "delete", "table", "inet", "vmsilo")
			if who := reached(); len(who) != 2 {
				t.Errorf("without the firewall only these are reached: %q", who)
			}
		})
	}
}

// mustOtherNetwork gives the host a second network, with 10.55.0.9 and fd55::9 on it in the namespace that it returns.
func mustOtherNetwork(t *testing.T) *os.File {
	t.Helper()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	tool(t, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	other, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	mustLink(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "peer"}, PeerName: "eth1", PeerNamespace: netlink.NsFd(int(here.Fd()))})
	configure := func(device string, addresses ...string) {
		tool(t, "ip", "link", "set", device, "up")
		for _, a := range addresses {
			tool(t, "ip", "address", "add", a, "dev", device, "nodad")
		}
	}
	configure("peer", "10.55.0.9/24", "fd55::9/64")
	tool(t, "ip", "route", "add", "default", "via", "10.55.0.1")
	tool(t, "ip", "-6", "route", "add", "default", "via", "fd55::1")
	if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	configure("eth1", "10.55.0.1/24", "fd55::1/64")
	return other
}

// TestNames has a guest ask the host's address for names: the host's name server of the moment hears it.
func TestNames(t *testing.T) {
	internet := inet(t)
	file := filepath.Join(t.TempDir(), "resolv.conf")
	say := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	say("nameserver 198.51.100.1\nnameserver 2001:db8:1::1\n")
	if err := unix.Mount(file, resolvConf, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
	g.knownTo(g.tap, guest4, guest6)
	servers := map[string]func() int{"127.0.0.1": heard(t, "udp", "127.0.0.1:53")}
	within(t, internet, func() {
		for _, a := range []string{"198.51.100.1", "203.0.113.53", "2001:db8:1::1", "2001:db8:2::53"} {
			servers[a] = heard(t, "udp", net.JoinHostPort(a, "53"))
		}
	})
	source := uint16(2000)
	asked := func(own, host string) (who []string) {
		source++
		g.sendTo(g.tap, packet(own, host, unix.IPPROTO_UDP, udp(source, 53, "a name")))
		for address, count := range servers {
			if count() > 0 {
				who = append(who, address)
			}
		}
		return who
	}
	refused := func(own, host string) bool {
		source++
		g.sendTo(g.tap, packet(own, host, unix.IPPROTO_UDP, udp(source, 53, "a name that nobody knows")))
		return g.receives([]byte("a name that nobody knows"), grace)
	}
	check := func(what string, want4, want6 string) {
		t.Helper()
		if got := fmt.Sprint(asked(guest4, host4)); got != want4 {
			t.Errorf("%s: IPv4: %s was asked, want %s", what, got, want4)
		}
		if got := fmt.Sprint(asked(guest6, host6)); got != want6 {
			t.Errorf("%s: IPv6: %s was asked, want %s", what, got, want6)
		}
	}
	check("at first", "[198.51.100.1]", "[2001:db8:1::1]")
	say("# changed\nnameserver 203.0.113.53\nnameserver 198.51.100.1\nnameserver ::1\nnameserver 2001:db8:2::53\n")
	mustRun(t, "refresh", filepath.Dir(g.record))
	check("after a change", "[203.0.113.53]", "[2001:db8:2::53]")
	say("nameserver 127.0.0.1\n")
	mustRun(t, "refresh", filepath.Dir(g.record))
	check("the host's own", "[127.0.0.1]", "[]")
	if !refused(guest6, host6) {
		t.Error("a question that nobody answers is not refused")
	}
	say("")
	mustRun(t, "refresh", filepath.Dir(g.record))
	check("none", "[]", "[]")
}

// A host without IPv6 has its guests do without.
func TestWithoutIPv6(t *testing.T) {
	internet := inet(t)
	if err := unix.Mount("none", "/proc/sys/net/ipv6", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, t.TempDir(), "demo", 0x11, natArgs...)
	g.knownTo(g.tap, guest4)
	g.asks(internet, guest4, "203.0.113.53", "198.51.100.2")
	if out := tool(t, "ip", "-6", "-brief", "address", "show", "dev", g.tap); strings.Contains(out, host6) {
		t.Error(out)
	}
	g.file.Close()
	mustRun(t, "remove", g.record)
}
