package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"vmsilo/guest/internal/cmdline"
)

func TestRunSendsNothingTooEarly(t *testing.T) {
	absent := errors.New("absent")
	await := func(_ context.Context, wanted []cmdline.Interface) error {
		if len(wanted) > 0 {
			return absent
		}
		return nil
	}
	for _, c := range []struct {
		line, message string
		sent          bool
	}{
		{"vmsilo.name=bank", "", true},
		{"vmsilo.home=floppy", "", true},
		{"vmsilo.ifname=wan,52:00:00:00:00:01", "absent", false},
	} {
		sent := false
		err := run(context.Background(),
			func() (cmdline.Params, error) { return cmdline.Parse(c.line) },
			await,
			func(context.Context) error { sent = true; return nil })
		if sent != c.sent || (err == nil) != c.sent || err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%q: sent %v, error %v", c.line, sent, err)
		}
	}
}

func TestIncomplete(t *testing.T) {
	lo := cmdline.Interface{Name: "lo", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}
	if err := incomplete([]cmdline.Interface{lo}); err != nil {
		t.Error(err)
	}
	lo.Addresses = append(lo.Addresses, netip.MustParsePrefix("192.0.2.1/24"))
	if err := incomplete([]cmdline.Interface{lo}); err == nil || !strings.Contains(err.Error(), "192.0.2.1/24") {
		t.Errorf("error %v", err)
	}
}

func TestAwaitInterfaces(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := awaitInterfaces(ctx, nil); err != nil {
		t.Error(err)
	}
	err := awaitInterfaces(ctx, []cmdline.Interface{{Name: "vmsilo-none", MAC: "52:00:00:00:00:01"}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "vmsilo-none") {
		t.Errorf("error %v", err)
	}
}

// Routes come after the addresses, and what is ready without them reaches nobody for that while.
func TestAwaitGateways(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: a network namespace needs root")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	kernel, err := netlink.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	mac, _ := net.ParseMAC("52:00:00:00:00:01")
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.HardwareAddr = "wan", mac
	link := &netlink.Veth{LinkAttrs: attributes, PeerName: "peer"}
	if err := kernel.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	wan := cmdline.Interface{Name: "wan", MAC: mac.String()}
	for _, a := range []string{"10.0.0.1/31", "fd00::1/127"} {
		address, _ := netlink.ParseAddr(a)
		if err := kernel.AddrAdd(link, address); err != nil {
			t.Fatal(err)
		}
		wan.Addresses = append(wan.Addresses, netip.MustParsePrefix(a))
	}
	if err := kernel.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	for _, g := range []string{"10.0.0.0", "fd00::"} {
		wan.Gateways = append(wan.Gateways, netip.MustParseAddr(g))
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		err := awaitInterfaces(ctx, []cmdline.Interface{wan})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "gateway "+g) {
			t.Fatalf("without gateway %s: %v", g, err)
		}
		added := make(chan error, 1)
		time.AfterFunc(50*time.Millisecond, func() {
			added <- kernel.RouteAdd(&netlink.Route{LinkIndex: link.Index, Gw: net.ParseIP(g), Flags: int(netlink.FLAG_ONLINK)})
		})
		ctx, cancel = context.WithTimeout(context.Background(), 30*time.Second)
		err = awaitInterfaces(ctx, []cmdline.Interface{wan})
		cancel()
		if err := errors.Join(err, <-added); err != nil {
			t.Fatal(err)
		}
	}
}

// The other side is a Unix socket here; what is tested is the same for both families.
func TestDeliver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	received := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		data, _ := io.ReadAll(conn)
		received <- string(data)
	}()
	if err := deliverTo(t, path, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != "READY=1" {
		t.Errorf("received %q", got)
	}
}

func TestDeliverGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := deliverTo(t, path, time.Minute); !errors.Is(err, unix.ENOENT) {
		t.Errorf("nobody there: %v", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := deliverTo(t, path, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("never closed: %v", err)
	}
}

func deliverTo(t *testing.T, path string, limit time.Duration) error {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return deliver(ctx, fd, &unix.SockaddrUnix{Name: path})
}
