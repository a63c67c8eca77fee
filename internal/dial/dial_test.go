package dial

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen returns a listener that takes one connection beside those that are accepted.
func listen(t *testing.T) (*net.UnixListener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	return l, path
}

// A connection waits for room in the queue, and gets it.
func TestFullQueue(t *testing.T) {
	l, path := listen(t)
	first, err := Unix(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Unix(path, 50*time.Millisecond); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("the queue is not full: %v", err)
	}
	connected := make(chan error, 1)
	go func() {
		conn, err := Unix(path, 0)
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		connected <- err
	}()
	select {
	case err := <-connected:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	for range 2 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if err := <-connected; err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	l, path := listen(t)
	l.SetUnlinkOnClose(false)
	l.Close()
	for path, want := range map[string]error{
		path:                      unix.ECONNREFUSED,
		path + "-not":             unix.ENOENT,
		strings.Repeat("x", 1000): unix.EINVAL,
	} {
		if _, err := Unix(path, 0); !errors.Is(err, want) {
			t.Errorf("%.50s: got %v, want %v", path, err, want)
		}
	}
}
