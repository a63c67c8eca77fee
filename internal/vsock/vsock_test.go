package vsock

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// device answers whoever connects, and returns its path.
func device(t *testing.T, answer string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if line, _ := bufio.NewReader(conn).ReadString('\n'); line != "CONNECT 5002\n" {
				conn.Close()
				continue
			}
			_, _ = io.WriteString(conn, answer)
			if !strings.HasPrefix(answer, "O") {
				conn.Close()
			}
		}
	}()
	return path
}

func TestDial(t *testing.T) {
	path := device(t, "OK 1073741824\nvms")
	conn, err := Dial(path, 5002, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// What the guest says is the caller's.
	said := make([]byte, 3)
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != "vms" {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := Dial(path, 5000, time.Now().Add(time.Minute)); !errors.Is(err, ErrRefused) {
		t.Errorf("another port: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for _, answer := range []string{"", "no\n", "O", "OK", "OK " + strings.Repeat("1", maxAnswer) + "\n", "OKAY\n"} {
		start := time.Now()
		_, err := Dial(device(t, answer), 5002, start.Add(200*time.Millisecond))
		if !errors.Is(err, ErrRefused) || time.Since(start) > 10*time.Second {
			t.Errorf("%q: %v after %v", answer, err, time.Since(start))
		}
	}
	if _, err := Dial(filepath.Join(t.TempDir(), "none"), 5002, time.Now()); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("no device: %v", err)
	}
}
