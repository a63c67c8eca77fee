package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vmsilo/tests/frames"
)

// guest plays a VM's guest: it has the TAP as a VMM has it.
type guest struct {
	*testing.T
	tap    string
	mac    net.HardwareAddr
	record string
	file   *os.File
}

// A TAP's frames come after a struct virtio_net_hdr of linux/virtio_net.h.
const vnetHeader = 10

// newGuest has a TAP made with more arguments, and attaches to it.
func newGuest(t *testing.T, folder, name string, number byte, more ...string) *guest {
	t.Helper()
	g := &guest{T: t, tap: name + "-22", mac: net.HardwareAddr{0x52, 0, 0, 0, 0, number}, record: filepath.Join(folder, name+":lan0")}
	args := append([]string{"add", "--tap=" + g.tap, "--owner=70017", "--mac=" + g.mac.String()}, more...)
	mustRun(t, append(args, g.record)...)
	g.attach()
	return g
}

// attach opens the TAP in the caller's namespace.
func (g *guest) attach() {
	g.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		g.Fatal(err)
	}
	request, err := unix.NewIfreq(g.tap)
	if err != nil {
		g.Fatal(err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		g.Fatalf("attaching to %s: %v", g.tap, err)
	}
	g.file = os.NewFile(uintptr(fd), g.tap)
	g.Cleanup(func() { g.file.Close() })
	// Until the kernel has seen that somebody is there, it drops what is sent to the guest.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if link, err := netlink.LinkByName(g.tap); err != nil || time.Now().After(deadline) {
			g.Fatalf("%s does not come up: %v", g.tap, err)
		} else if link.Attrs().OperState != netlink.OperDown {
			return
		}
	}
}

func (g *guest) send(frame []byte) {
	g.Helper()
	if _, err := g.file.Write(append(make([]byte, vnetHeader), frame...)); err != nil {
		g.Fatalf("sending on %s: %v", g.tap, err)
	}
}

// receives tells whether a frame comes that holds mark, within a time.
func (g *guest) receives(mark []byte, within time.Duration) bool {
	g.file.SetReadDeadline(time.Now().Add(within))
	buffer := make([]byte, 65536)
	for {
		n, err := g.file.Read(buffer)
		if err != nil {
			return false
		}
		if bytes.Contains(buffer[:n], mark) {
			return true
		}
	}
}

// frame is an Ethernet frame to everybody.
func (g *guest) frame(kind uint16, payload ...[]byte) []byte {
	return frameFrom(g.mac, broadcast, kind, payload...)
}

// What guests send is made by vmsilo/tests/frames.
var (
	broadcast = frames.Broadcast
	frameFrom = frames.Frame
	arp       = frames.ARP
	ip        = frames.IP
	packet    = frames.Packet
	udp       = frames.UDP
	syn       = frames.SYN
	kindOf    = frames.KindOf
)

// namespace makes a network namespace, which the caller's thread is in afterwards, and returns it.
func namespace(t *testing.T) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP: making a TAP needs root")
	}
	runtime.LockOSThread()
	// A mount namespace, too, for files of /etc.
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	tool(t, "ip", "link", "set", "lo", "up")
	tool(t, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	return file
}

// within runs f in another namespace.
func within(t *testing.T, ns *os.File, f func()) {
	t.Helper()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// tool runs a program and returns what it prints.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// heard listens on an address, and returns what tells how many packets have come.
func heard(t *testing.T, network, address string) func() int {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return func() int { return drain(func() error { return accepted(l.(*net.TCPListener)) }) }
	}
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() int {
		return drain(func() error {
			c.SetReadDeadline(time.Now().Add(grace))
			_, _, err := c.ReadFrom(make([]byte, 2048))
			return err
		})
	}
}

// grace is how long the kernel may take to hand on what was sent.
const grace = 30 * time.Millisecond

func accepted(l *net.TCPListener) error {
	l.SetDeadline(time.Now().Add(grace))
	c, err := l.Accept()
	if err == nil {
		c.Close()
	}
	return err
}

func drain(one func() error) (n int) {
	for one() == nil {
		n++
	}
	return n
}

// state is all that a host has of rules, settings and links.
func state(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(tool(t, "nft", "--stateless", "list", "ruleset"), tool(t, "sh", "-c", "ip -brief link | awk '{ print $1, $3 }'; grep -r '' /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward | sort"))
}

func mustLink(t *testing.T, link netlink.Link) netlink.Link {
	t.Helper()
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	return link
}

func readOne(c net.Conn) error {
	c.SetReadDeadline(time.Now().Add(grace))
	_, err := c.Read(make([]byte, 2048))
	return err
}

// difference tells what of a state is gone, and what is new.
func difference(before, after string) string {
	var b strings.Builder
	for sign, texts := range map[string][2]string{"gone: ": {before, after}, "new: ": {after, before}} {
		lines := strings.Split(texts[1], "\n")
		for line := range strings.Lines(texts[0]) {
			if !slices.Contains(lines, strings.TrimSuffix(line, "\n")) {
				b.WriteString(sign + line)
			}
		}
	}
	return b.String()
}
