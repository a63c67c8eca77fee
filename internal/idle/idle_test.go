package idle

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A server waits for as long as it has something to do, and then for so long as it was told.
func TestLoad(t *testing.T) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const rest = 100 * time.Millisecond
	begin := time.Now()
	load := New(listener, rest)
	if n := load.Add(2); n != 2 {
		t.Errorf("%d run", n)
	}
	time.AfterFunc(2*rest, func() { load.Add(-1) })
	time.AfterFunc(4*rest, func() { load.Add(-1) })
	if _, err := listener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) < 5*rest {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	if n := load.Add(0); n != 0 {
		t.Errorf("%d run", n)
	}
	if _, err := listener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) < 6*rest {
		t.Errorf("again, after %v: %v", time.Since(begin), err)
	}
}
