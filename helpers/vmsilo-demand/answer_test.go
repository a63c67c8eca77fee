package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// host is a socket whose connections are answered.
type host struct {
	t    *testing.T
	path string
	// started are the VMs that were asked for, and by whom.
	started chan asked
	result  error
	done    chan error
}

type asked struct {
	vm string
	by peer
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	// Others connect, too.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := &host{t: t, path: filepath.Join(dir, "demand"), started: make(chan asked, 100), done: make(chan error, 100)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.path, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				by, err := peerOf(conn)
				if err != nil {
					h.done <- err
					return
				}
				h.done <- answer(conn, by, func(vm string, by peer) error {
					h.started <- asked{vm, by}
					return h.result
				})
			}()
		}
	}()
	return h
}

func (h *host) connect() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("unix", h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// answer says something and returns what is answered until the other side closes.
func (h *host) answer(text string) string {
	h.t.Helper()
	conn := h.connect()
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatal(err)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		h.t.Fatal(err)
	}
	return readAll(h.t, conn)
}

func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	answer, err := io.ReadAll(conn)
	// What was sent beyond the line is lost with the connection.
	if err != nil && !strings.Contains(err.Error(), "connection reset") {
		t.Fatal(err)
	}
	return string(answer)
}

func TestNames(t *testing.T) {
	h := newHost(t)
	longest := "a" + strings.Repeat("-b", 23) + "c"
	for sent, want := range map[string]string{
		"a\n":                       "a",
		longest + "\n":              longest,
		"work\nmore\n":              "work",
		"work\n" + longest + "\x00": "work",
	} {
		if got := h.answer(sent); got != "OK\n" {
			t.Errorf("%q: %q", sent, got)
			continue
		}
		if got := <-h.started; got.vm != want {
			t.Errorf("%q: VM %q", sent, got.vm)
		}
	}
	for sent, want := range map[string]string{
		"":                           `want the name of a VM and a newline, got ""`,
		"work":                       `want the name of a VM and a newline, got "work"`,
		"\n":                         `no VM is named ""`,
		"../work\n":                  `no VM is named "../work"`,
		"work:home\n":                `no VM is named "work:home"`,
		"a*\n":                       `no VM is named "a*"`,
		"a-\n":                       `no VM is named "a-"`,
		"A\n":                        `no VM is named "A"`,
		"a.service\n":                `no VM is named "a.service"`,
		"a\x00b\n":                   `no VM is named "a\x00b"`,
		"\x1b[2J\xff\n":              `no VM is named "\x1b[2J\xff"`,
		longest + "d\n":              `no VM has a name that begins with "` + longest + `d"`,
		strings.Repeat("x", 100_000): `no VM has a name that begins with "` + strings.Repeat("x", 49) + `"`,
	} {
		if got := h.answer(sent); got != want+"\n" {
			t.Errorf("%.60q: %q, want %q", sent, got, want)
		}
	}
	select {
	case got := <-h.started:
		t.Errorf("VM %q is started", got.vm)
	default:
	}
}

// A name that comes byte by byte is taken; one that does not come is not waited for.
func TestSlow(t *testing.T) {
	h := newHost(t)
	slow, mute := h.connect(), h.connect()
	begin := time.Now()
	for _, b := range []byte("work\n") {
		if _, err := slow.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := readAll(t, slow); got != "OK\n" {
		t.Errorf("%q", got)
	}
	if got := readAll(t, mute); !strings.HasPrefix(got, "no name of a VM has come: ") {
		t.Errorf("%q", got)
	}
	if took := time.Since(begin); took < patience || took > patience+5*time.Second {
		t.Errorf("after %v", took)
	}
}

func TestFailure(t *testing.T) {
	h := newHost(t)
	h.result = errors.New("no\nluck\x1b[2J " + strings.Repeat("é", 1000))
	got := h.answer("work\n")
	if !strings.HasPrefix(got, "no?luck?[2J éé") || strings.Count(got, "\n") != 1 || len(got) > maxAnswer+1 {
		t.Errorf("%d bytes: %.80q", len(got), got)
	}
}

// Who hangs up at once has the VM started all the same.
func TestHangsUp(t *testing.T) {
	h := newHost(t)
	conn := h.connect()
	if _, err := io.WriteString(conn, "work\n"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := <-h.started; got.vm != "work" {
		t.Errorf("VM %q", got.vm)
	}
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}
