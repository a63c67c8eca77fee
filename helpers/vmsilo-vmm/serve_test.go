package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vm is a server of a VM, whose VMM answers each request of crosvm's form.
type vm struct {
	folder, socket string
	// stop ends the VMM.
	stop  func()
	told  chan string
	ended chan error
}

func newVM(t *testing.T, idle time.Duration, answer string) *vm {
	t.Helper()
	v := &vm{folder: filepath.Join(t.TempDir(), "vmm"), told: make(chan string, 100), ended: make(chan error, 1)}
	v.socket = v.folder + ".socket"
	if err := os.Mkdir(v.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unixpacket", filepath.Join(v.folder, "crosvm.sock"))
	if err != nil {
		t.Fatal(err)
	}
	v.stop = func() { l.Close() }
	t.Cleanup(v.stop)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: v.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	s := server{folder: v.folder, idle: idle, tell: func(status string) { v.told <- status }}
	go func() { v.ended <- s.serve(socket) }()
	return v
}

// ask returns the answer to what is said.
func (v *vm) ask(t *testing.T, said string) string {
	t.Helper()
	conn, err := net.Dial("unix", v.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, said); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// end waits for the end of the server.
func (v *vm) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-v.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it stays")
	}
}

// A server stays while its VM is paused, and no longer.
func TestStays(t *testing.T) {
	const idle = 300 * time.Millisecond
	v := newVM(t, idle, `"Ok"`)
	for _, request := range []string{"pause\n", "pause\n", "balloon 1048576\n"} {
		if got := v.ask(t, request); got != "OK" {
			t.Errorf("%q: %q", request, got)
		}
	}
	select {
	case <-v.ended:
		t.Fatal("it has left")
	case <-time.After(3 * idle):
	}
	if first, second := <-v.told, <-v.told; first != "paused" || second != "paused" || len(v.told) != 0 {
		t.Errorf("told %q, %q and %d more", first, second, len(v.told))
	}
	if got := v.ask(t, "resume\n"); got != "OK" || <-v.told != "" {
		t.Error(got)
	}
	v.end(t)
}

// One that comes after another was killed knows that the VM is paused, until it goes on.
func TestKilled(t *testing.T) {
	v := newVM(t, time.Minute, `"Ok"`)
	if got := v.ask(t, "pause\n"); got != "OK" {
		t.Fatal(got)
	}
	next := func() *vm {
		n := *v
		n.socket, n.told, n.ended = filepath.Join(t.TempDir(), "socket"), make(chan string, 100), make(chan error, 1)
		socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: n.socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		s := server{folder: n.folder, idle: 100 * time.Millisecond, tell: func(status string) { n.told <- status }}
		go func() { n.ended <- s.serve(socket) }()
		return &n
	}
	n := next()
	if got := <-n.told; got != "paused" {
		t.Errorf("told %q", got)
	}
	if got := n.ask(t, "resume\n"); got != "OK" || <-n.told != "" {
		t.Error(got)
	}
	n.end(t)
	n = next()
	n.end(t)
	if len(n.told) > 0 {
		t.Errorf("told %q of a VM that goes on", <-n.told)
	}
}

// Who pauses a VM again and again has it watched once: a user may have 128 instances of inotify by default.
func TestPausedOften(t *testing.T) {
	v := newVM(t, time.Minute, `"Ok"`)
	for range 20 {
		for _, request := range []string{"pause\n", "resume\n"} {
			if got := v.ask(t, request); got != "OK" {
				t.Fatalf("%q: %q", request, got)
			}
			<-v.told
		}
	}
	if got := v.ask(t, "pause\n"); got != "OK" {
		t.Fatal(got)
	}
	if n := watches(t); n > 1 {
		t.Errorf("%d instances of inotify", n)
	}
	v.stop()
	if err := os.RemoveAll(v.folder); err != nil {
		t.Fatal(err)
	}
	v.end(t)
}

// watches counts this process's instances of inotify.
func watches(t *testing.T) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		// What was open a moment ago may be closed.
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); strings.Contains(to, "inotify") {
			n++
		}
	}
	return n
}

// The end of the VMM is the end of a server that stays.
func TestVMMEnds(t *testing.T) {
	v := newVM(t, time.Minute, `"Ok"`)
	if got := v.ask(t, "pause\n"); got != "OK" {
		t.Fatal(got)
	}
	v.stop()
	if err := os.RemoveAll(v.folder); err != nil {
		t.Fatal(err)
	}
	v.end(t)
}

func TestAnswers(t *testing.T) {
	v := newVM(t, time.Minute, `{"Err":16}`)
	for said, want := range map[string]string{
		"pause\n":                 "asking crosvm: device or resource busy",
		"resize data 1048576\n":   "crosvm cannot grow a disk safely: stop the VM, and grow its file then",
		"resize root 1048576\n":   `"root" is not one of the disks that a VM is given`,
		"resize data\n":           `want pause, resume, balloon BYTES or resize DISK BYTES, got ["resize" "data"]`,
		"balloon 1M\n":            `want a number of bytes, got "1M"`,
		"balloon -1\n":            `want a number of bytes, got "-1"`,
		"\n":                      "want pause, resume, balloon BYTES or resize DISK BYTES, got []",
		strings.Repeat("x", 1000): "no request has come: EOF",
	} {
		if got := v.ask(t, said); got != want {
			t.Errorf("%.20q: got %q, want %q", said, got, want)
		}
	}
	if len(v.told) != 0 {
		t.Errorf("told %q", <-v.told)
	}
}
