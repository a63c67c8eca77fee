// Package controltest stands in for VMMs, for tests of what is said to them.
package controltest

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/vmm/control"
)

// Socket is a control socket: its network and its name, what it says first, and whether it closes after an answer.
type Socket struct {
	Network, Name, Greeting string
	Closes                  bool
}

// VMM returns the VMM with such a control socket, on which each thing that is said is answered by answer.
func (s Socket) VMM(t *testing.T, answer func(said string) string) control.VMM {
	t.Helper()
	folder := t.TempDir()
	l, err := net.Listen(s.Network, filepath.Join(folder, s.Name))
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
			s.talk(conn, answer)
			conn.Close()
		}
	}()
	v, err := control.In(folder)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s Socket) talk(conn net.Conn, answer func(said string) string) {
	if s.Greeting != "" {
		_, _ = io.WriteString(conn, s.Greeting)
	}
	for packet := make([]byte, 4096); ; {
		n, err := conn.Read(packet)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, answer(string(packet[:n]))); err != nil || s.Closes {
			return
		}
	}
}

// Wants compares an error with the end of what it is to be; "" is none.
func Wants(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
		t.Errorf("%.40q: %v, want %q", what, err, want)
	}
}
