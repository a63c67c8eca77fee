package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
