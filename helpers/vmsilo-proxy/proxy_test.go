package main

import (
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

// steps are what a proxy does with a compositor, at each of which that may end.
var steps = []string{"accept", "get_registry", "globals", "bind", "create_listener", "commit"}

// compositor is as much of one as the proxy meets. It ends before the step that it is told, if any, and then has done with it all.
type compositor struct {
	listener *net.UnixListener
	globals  []string
	endAt    string
	given    chan grant
	ended    chan struct{}
	mu       sync.Mutex
	conns    []*net.UnixConn
}

// grant is what a compositor was given.
type grant struct {
	sandbox
	socket *net.UnixListener
	hangUp *os.File
}

func startCompositor(t *testing.T, path, endAt string, globals ...string) *compositor {
	t.Helper()
	_ = os.Remove(path)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	// A compositor that dies leaves its socket.
	listener.SetUnlinkOnClose(false)
	c := &compositor{listener: listener, globals: globals, endAt: endAt, given: make(chan grant, 1), ended: make(chan struct{})}
	go c.run()
	t.Cleanup(c.end)
	return c
}

// end closes what the compositor has open; its socket stays, as that of one that dies.
func (c *compositor) end() {
	c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func (c *compositor) run() {
	defer close(c.ended)
	for {
		conn, err := c.listener.AcceptUnix()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
		go func() {
			defer conn.Close()
			if c.endAt == "accept" || c.serve(conn) == nil {
				c.end()
			}
		}()
	}
}

// serve speaks to one client; nil says that the compositor ends.
func (c *compositor) serve(conn *net.UnixConn) error {
	var now grant
	var files []int
	pending := []byte{}
	for {
		data, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(16))
		n, r, _, _, err := conn.ReadMsgUnix(data, rights)
		if err != nil || n == 0 {
			return errors.New("the client has ended")
		}
		files = append(files, descriptors(rights[:r])...)
		pending = append(pending, data[:n]...)
		w := newWire(conn)
		for len(pending) >= 8 {
			e, err := readEvent(bytes.NewReader(pending))
			if err != nil {
				break
			}
			pending = pending[8+len(e.args):]
			step, err := c.hear(w, e, &now, &files)
			if err != nil {
				return err
			}
			if step != "" && step == c.endAt {
				return nil
			}
		}
	}
}

// hear does what a client asks for, whose objects have the numbers that the proxy gives them: the registry is 2, the
// manager 4 and the context 5.
func (c *compositor) hear(w *wire, e event, now *grant, files *[]int) (step string, err error) {
	switch {
	case e.object == display && e.opcode == displayGetRegistry:
		if c.endAt == "get_registry" {
			return "get_registry", nil
		}
		registry := e.uint()
		for i, name := range c.globals {
			if err := w.send(appendUint(appendText(appendUint(message(registry, registryGlobal), uint32(i+1)), name), 1)); err != nil {
				return "", err
			}
		}
		return "globals", nil
	case e.object == display && e.opcode == displaySync:
		return "", w.send(appendUint(message(e.uint(), 0), 0))
	case e.object == 2:
		return "bind", nil
	case e.object == 4 && e.opcode == managerCreateListener:
		if c.endAt == "create_listener" {
			return "create_listener", nil
		}
		file := os.NewFile(uintptr((*files)[0]), "socket")
		listener, err := net.FileListener(file)
		if err != nil {
			return "", err
		}
		now.socket, now.hangUp = listener.(*net.UnixListener), os.NewFile(uintptr((*files)[1]), "close_fd")
		file.Close()
	case e.object != 5:
		return "", errors.New("what is this about?")
	case e.opcode == contextSetSandboxEngine:
		now.engine = e.text()
	case e.opcode == contextSetAppID:
		now.app = e.text()
	case e.opcode == contextSetInstanceID:
		now.instance = e.text()
	case e.opcode == contextCommit:
		if c.endAt == "refuse" {
			text := appendText(appendUint(appendUint(message(display, displayError), e.object), 2), "invalid metadata")
			return "", w.send(text)
		}
		if c.endAt == "commit" {
			return "commit", nil
		}
		now.socket.SetUnlinkOnClose(false)
		c.given <- *now
	}
	return "", nil
}

// world is a session without a compositor, and a proxy for it.
type world struct {
	folder, path string
	mu           sync.Mutex
	said         string
	told         string
}

func startProxy(t *testing.T, plain bool, folder string) *world {
	t.Helper()
	w := &world{folder: folder, path: filepath.Join(t.TempDir(), "wayland.sock")}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: w.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); listener.Close() })
	p := &proxy{
		socket: fd, sandbox: sandbox{"vmsilo", "vmsilo.demo", "7"},
		session: &session{folder, func(string, string) string { w.mu.Lock(); defer w.mu.Unlock(); return w.told }},
		say:     func(text string) { w.mu.Lock(); defer w.mu.Unlock(); w.said += text + "\n" },
	}
	// It has no end, but that of the process.
	go func() {
		serve := p.handOn
		if plain {
			serve = p.carry
		}
		p.note(fmt.Sprint(serve()))
	}()
	return w
}

// says waits until the proxy has said so.
func (w *world) says(t *testing.T, text string) {
	t.Helper()
	for range 300 {
		w.mu.Lock()
		said := w.said
		w.mu.Unlock()
		if strings.Contains(said, text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%q was not said, but: %q", text, w.said)
}

// connect connects as a VM does.
func (w *world) connect(t *testing.T) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: w.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// wait returns what comes, within a time that is enough.
func wait[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(30 * time.Second):
		t.Fatal("nothing has come")
		panic("")
	}
}

// accepts tells whether the compositor itself accepts what connects.
func (g grant) accepts(t *testing.T, client *net.UnixConn) {
	t.Helper()
	if g.sandbox != (sandbox{"vmsilo", "vmsilo.demo", "7"}) {
		t.Errorf("the sandbox is %v", g.sandbox)
	}
	conn, err := g.socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q has come: %v", got, err)
	}
}

func TestContext(t *testing.T) {
	w := startProxy(t, false, t.TempDir())
	client := w.connect(t)
	w.says(t, "no compositor")
	c := startCompositor(t, filepath.Join(w.folder, "wayland-1"), "", "wl_shm", managerInterface)
	given := wait(t, c.given)
	given.accepts(t, client)
	w.says(t, "accepts connections")
	// As long as the proxy is there, the socket is the compositor's.
	fds := []unix.PollFd{{Fd: int32(given.hangUp.Fd())}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("the compositor is told to close: %d, %v", n, err)
	}
}

// TestDeaths has a compositor die at each step: the next one has the socket, and whoever connected before.
func TestDeaths(t *testing.T) {
	for _, step := range append(steps, "refuse") {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := startProxy(t, false, t.TempDir())
			path := filepath.Join(w.folder, "wayland-0")
			first := startCompositor(t, path, step, managerInterface)
			client := w.connect(t)
			if step == "refuse" {
				w.says(t, `it says "invalid metadata"`)
				first.end()
			}
			wait(t, first.ended)
			second := startCompositor(t, path, "", managerInterface)
			wait(t, second.given).accepts(t, client)
		})
	}
}

// TestRestart has a compositor end that had the socket.
func TestRestart(t *testing.T) {
	w := startProxy(t, false, t.TempDir())
	path := filepath.Join(w.folder, "wayland-0")
	for range 3 {
		c := startCompositor(t, path, "", managerInterface)
		given := wait(t, c.given)
		given.accepts(t, w.connect(t))
		given.socket.Close()
		c.end()
		// So the compositor could tell that the proxy has let go of the old one.
		fds := []unix.PollFd{{Fd: int32(given.hangUp.Fd())}}
		if n, err := unix.Poll(fds, 30000); n != 1 || err != nil {
			t.Errorf("the pipe is not closed: %d, %v", n, err)
		}
	}
}

func TestWithoutProtocol(t *testing.T) {
	w := startProxy(t, false, t.TempDir())
	c := startCompositor(t, filepath.Join(w.folder, "wayland-0"), "", "wl_shm")
	w.says(t, `wayland = "plain"`)
	client := w.connect(t)
	if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("not refused: %d, %v", n, err)
	}
	c.end()
}

// TestWhere looks for the compositor where the session says, and else in order.
func TestWhere(t *testing.T) {
	folder := t.TempDir()
	told := ""
	s := &session{folder, func(string, string) string { return told }}
	if _, _, err := s.connect(); !errors.Is(err, errNone) {
		t.Errorf("no compositor: %v", err)
	}
	for _, name := range []string{"wayland-10", "wayland-2", "wayland-7", "other"} {
		startCompositor(t, filepath.Join(folder, name), "")
	}
	startCompositor(t, filepath.Join(folder, "wayland-0"), "").end()
	if err := os.WriteFile(filepath.Join(folder, "wayland-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"", "wayland-2"},
		{"wayland-7", "wayland-7"},
		{filepath.Join(folder, "other"), "other"},
		{"wayland-0", "wayland-2"},
		{"gone", "wayland-2"},
	} {
		told = c[0]
		conn, path, err := s.connect()
		if err != nil || filepath.Base(path) != c[1] {
			t.Errorf("WAYLAND_DISPLAY=%s: %q, %v", c[0], path, err)
			continue
		}
		conn.Close()
	}
}

// TestLogin has the runtime folder come, too.
func TestLogin(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "1000")
	w := startProxy(t, false, folder)
	client := w.connect(t)
	w.says(t, "no compositor")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	wait(t, startCompositor(t, filepath.Join(folder, "wayland-0"), "", managerInterface).given).accepts(t, client)
}

// TestPlain carries bytes and files, and survives the compositor.
func TestPlain(t *testing.T) {
	w := startProxy(t, true, t.TempDir())
	client := w.connect(t)
	w.says(t, "no compositor")
	for range 2 {
		path := filepath.Join(w.folder, "wayland-0")
		_ = os.Remove(path)
		compositor, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		server, own := accepted(t, compositor, client)
		carries(t, client, server)
		carries(t, server, client)
		// What one side has said before its end is heard.
		client.Write([]byte("bye"))
		client.Close()
		if rest, err := io.ReadAll(server); string(rest) != "bye" || err != nil {
			t.Errorf("%q is the rest: %v", rest, err)
		}
		for _, c := range []io.Closer{compositor, own, server} {
			c.Close()
		}
		client = w.connect(t)
	}
}

// accepted takes two connections, and returns first that to which the client's bytes are carried. The other is the proxy's own,
// to see the compositor's end; they come in any order.
func accepted(t *testing.T, compositor *net.UnixListener, client *net.UnixConn) (server, own *net.UnixConn) {
	t.Helper()
	var both [2]*net.UnixConn
	for i := range both {
		conn, err := compositor.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		both[i] = conn
	}
	if _, err := client.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		for i, conn := range both {
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if n, _ := conn.Read(make([]byte, 1)); n == 1 {
				_ = conn.SetReadDeadline(time.Time{})
				return conn, both[1-i]
			}
		}
	}
	t.Fatal("nothing is carried")
	return nil, nil
}

// carries sends much, and a file, from one end to the other.
func carries(t *testing.T, from, to *net.UnixConn) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("of the file"); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), 1<<20)
	go func() {
		_ = deliver(from, data, []int{int(file.Fd())})
	}()
	rights := make([]byte, unix.CmsgSpace(4))
	got := make([]byte, len(data))
	n, r, _, _, err := to.ReadMsgUnix(got, rights)
	if err != nil {
		t.Fatal(err)
	}
	files := descriptors(rights[:r])
	if len(files) != 1 {
		t.Fatalf("%d files have come", len(files))
	}
	text := make([]byte, 20)
	if n, _ := unix.Pread(files[0], text, 0); string(text[:n]) != "of the file" {
		t.Errorf("the file holds %q", text[:n])
	}
	unix.Close(files[0])
	if _, err := io.ReadFull(to, got[n:]); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes have come: %v", err)
	}
}

// TestMany opens more connections than are carried, and then the usual one.
func TestMany(t *testing.T) {
	w := startProxy(t, true, t.TempDir())
	startCompositor(t, filepath.Join(w.folder, "wayland-0"), "", "wl_shm")
	w.says(t, "carried")
	var all []*net.UnixConn
	for range 1000 {
		all = append(all, w.connect(t))
	}
	w.says(t, fmt.Sprintf("%d connections already", maxCarried))
	answers := func(conn *net.UnixConn) bool {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _, err := newWire(conn).globals()
		return err == nil
	}
	served := 0
	for _, conn := range all {
		if answers(conn) {
			served++
		}
		defer conn.Close()
	}
	if served != maxCarried {
		t.Errorf("%d are carried", served)
	}
	for _, conn := range all {
		conn.Close()
	}
	for range 100 {
		if answers(w.connect(t)) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("there is no room again")
}
