package handover

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// A connection that is handed over stays open on both sides until both have closed it, and ends with the host's.
func TestGive(t *testing.T) {
	host, client := pair(t)
	near, guest := pair(t)
	if err := Give(host, near); err != nil {
		t.Fatal(err)
	}
	near.Close()
	got, err := Take(client)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, err := io.WriteString(guest, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(got, make([]byte, len("hello"))); err != nil {
		t.Error(err)
	}
	host.Close()
	if said, err := io.ReadAll(guest); len(said) > 0 || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

// A reason is one line, and never too long for who reads it.
func TestRefuse(t *testing.T) {
	for reason, want := range map[string]string{
		"no luck":                  "no luck",
		"no\nluck":                 "no luck",
		strings.Repeat("x", 5_000): strings.Repeat("x", maxAnswer-1),
	} {
		host, client := pair(t)
		if err := Refuse(host, errors.New(reason)); err != nil {
			t.Fatal(err)
		}
		var refused *Refused
		if _, err := Take(client); !errors.As(err, &refused) || refused.Text != want {
			t.Errorf("%q: %v", reason, err)
		}
	}
}
