package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// buffer is a journal that may be looked at meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(data)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// host is a console helper that runs.
type host struct {
	socket, console string
	journal         buffer
	done            chan error
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{socket: filepath.Join(dir, "console"), console: filepath.Join(dir, "vmm", "console.sock"), done: make(chan error, 1)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	go func() { h.done <- serve(l, "bank", h.console, &h.journal, 200*time.Millisecond) }()
	return h
}

// vmm begins to listen as a VMM does, for one at a time.
func (h *host) vmm(t *testing.T, guest func(net.Conn)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.console), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", h.console)
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
			guest(conn)
			conn.Close()
		}
	}()
}

func (h *host) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn
}

func (h *host) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-h.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}

// shell answers each line.
func shell(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		fmt.Fprintf(conn, "\x1b[32m$\x1b[0m %s\r\n", lines.Text())
	}
}

func ask(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	fmt.Fprintln(conn, line)
	got, err := bufio.NewReader(conn).ReadString('\n')
	if want := "\x1b[32m$\x1b[0m " + line + "\r\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// One after the other, from before the VMM is there; the second of two is told.
func TestAttach(t *testing.T) {
	h := newHost(t)
	first := h.connect(t)
	time.Sleep(50 * time.Millisecond)
	second := h.connect(t)
	if text, err := io.ReadAll(second); err != nil || string(text) != `somebody is attached to the console of VM "bank" already`+"\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Mkdir(filepath.Dir(h.console), 0o755); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-h.done:
		t.Fatalf("it does not wait for the VMM: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	h.vmm(t, shell)
	ask(t, first, "one")
	first.Close()
	for n := range 3 {
		time.Sleep(50 * time.Millisecond)
		again := h.connect(t)
		ask(t, again, fmt.Sprint("again ", n))
		again.Close()
	}
	h.wait(t)
	if want := "$ one\n$ again 0\n$ again 1\n$ again 2\n"; h.journal.String() != want {
		t.Errorf("%q", h.journal.String())
	}
}

// attach connects until nobody else is attached; nothing is said to the one that is before the VMM is there.
func (h *host) attach(t *testing.T) net.Conn {
	t.Helper()
	for range 100 {
		conn := h.connect(t)
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			return conn
		}
		conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("somebody is attached")
	return nil
}

// Who leaves before the VMM is there keeps nobody else from attaching.
func TestLeavesBefore(t *testing.T) {
	for name, leave := range map[string]func(net.Conn) error{
		"closed":      net.Conn.Close,
		"half closed": func(c net.Conn) error { return c.(*net.UnixConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			// The folder of the VMM is waited for first, and then its socket.
			for range 2 {
				first := h.attach(t)
				fmt.Fprintln(first, "what nobody reads")
				time.Sleep(50 * time.Millisecond)
				if err := leave(first); err != nil {
					t.Fatal(err)
				}
				_ = os.Mkdir(filepath.Dir(h.console), 0o755)
			}
			second := h.attach(t)
			h.vmm(t, shell)
			ask(t, second, "one")
			second.Close()
			h.wait(t)
		})
	}
}

// A socket has its name before it listens.
func TestNameComesFirst(t *testing.T) {
	h := newHost(t)
	client := h.connect(t)
	if err := os.Mkdir(filepath.Dir(h.console), 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), h.console)
	defer file.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: h.console}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := l.Accept(); err == nil {
			shell(conn)
			conn.Close()
		}
	}()
	ask(t, client, "one")
	client.Close()
	h.wait(t)
}

// A VM that ends before its VMM listens leaves nobody waiting.
func TestFolderIsGone(t *testing.T) {
	h := newHost(t)
	if err := os.Mkdir(filepath.Dir(h.console), 0o755); err != nil {
		t.Fatal(err)
	}
	client := h.connect(t)
	time.Sleep(50 * time.Millisecond)
	if err := os.Remove(filepath.Dir(h.console)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(client)
	if err != nil || !strings.HasPrefix(string(text), "there is no console: ") || !strings.Contains(string(text), "the folder is gone") {
		t.Errorf("%q, %v", text, err)
	}
	h.wait(t)
}

// When the VMM ends, so does the attachment.
func TestVMMEnds(t *testing.T) {
	h := newHost(t)
	h.vmm(t, func(conn net.Conn) { fmt.Fprint(conn, "bye") })
	text, err := io.ReadAll(h.connect(t))
	if err != nil || string(text) != "bye" {
		t.Errorf("%q, %v", text, err)
	}
	h.wait(t)
	if h.journal.String() != "bye\n" {
		t.Errorf("%q", h.journal.String())
	}
}

// A client that never reads, and one that has gone while the guest does not read: each is let go.
func TestNobodyReads(t *testing.T) {
	for name, guest := range map[string]func(net.Conn){
		"client": func(conn net.Conn) { _, _ = conn.Write(bytes.Repeat([]byte("flood\n"), 1<<20)) },
		"guest":  func(conn net.Conn) { time.Sleep(patience + 5*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.vmm(t, guest)
			client := h.connect(t)
			if name == "guest" {
				_ = client.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = client.Write(bytes.Repeat([]byte("x"), 1<<22))
				client.Close()
			}
			select {
			case err := <-h.done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience + 3*time.Second):
				t.Error("it is attached for ever")
			}
		})
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain\r\n":                     "plain\n",
		"no end":                        "no end\n",
		"\n\r\n\x1b[2J\n":               "",
		"a\x1b[1;31mred\x1b[0m b\n":     "ared b\n",
		"\x1b]0;title\x07after\n":       "after\n",
		"\x1b]0;title\x1b\\after\n":     "after\n",
		"\x1b]0;never ends\nafter\n":    "after\n",
		"\x1b(Bcharset \x1b=keypad\n":   "charset keypad\n",
		"\x1b[31\nnext\n":               "next\n",
		"tab\there \x00\x07\x08\x7f.\n": "tab here .\n",
		"<0>panic\n":                    "<0>panic\n",
		"grün \u009b31m \u202ex \xff\n": "grün 31m x \ufffd\n",
		strings.Repeat("x", 3000):       strings.Repeat("x", 1024) + "\n" + strings.Repeat("x", 1024) + "\n" + strings.Repeat("x", 952) + "\n",
	} {
		for _, size := range []int{1, 7, 5000} {
			var out bytes.Buffer
			w := &text{to: &out}
			for data := []byte(in); len(data) > 0; data = data[min(size, len(data)):] {
				_, _ = w.Write(data[:min(size, len(data))])
			}
			if w.flush(); out.String() != want {
				t.Errorf("%q: got %q, want %q", in, out.String(), want)
			}
		}
	}
}
