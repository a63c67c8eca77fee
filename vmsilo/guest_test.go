package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/handover"
	"vmsilo/internal/protocol"
)

// host is a machine with one VM, whose guest the test is.
type host struct {
	t       *testing.T
	folder  string
	accepts chan net.Conn
	// doors are the connections to the host by which those to a guest were asked for.
	doors chan net.Conn
	// answers, where it is there, takes the place of handing over.
	answers func(door *net.UnixConn)
}

// newHost returns a host whose VM "work" listens on its socket of a kind, "run" or "console".
func newHost(t *testing.T, kind string) *host {
	t.Helper()
	h := &host{t: t, folder: t.TempDir(), accepts: make(chan net.Conn, 10), doors: make(chan net.Conn, 10)}
	h.write("work", "id = 3\n")
	h.write("broken", "id = 4\nmemroy = 1\n")
	h.listen("work." + kind)
	return h
}

// listen begins to listen as a VM does that has come up.
func (h *host) listen(socket string) net.Listener {
	h.t.Helper()
	listener, err := net.Listen("unix", filepath.Join(h.folder, socket))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if strings.HasSuffix(socket, ".run") {
				h.handOver(conn.(*net.UnixConn))
			} else {
				h.accepts <- conn
			}
		}
	}()
	return listener
}

// handOver does what the host does for who wants a program in a guest.
func (h *host) handOver(door *net.UnixConn) {
	h.t.Cleanup(func() { door.Close() })
	if h.answers != nil {
		h.answers(door)
		door.Close()
		return
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		h.t.Error(err)
		return
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		if ends[i], err = net.FileConn(file); err != nil {
			h.t.Error(err)
		}
		file.Close()
	}
	if err := handover.Give(door, ends[0].(*net.UnixConn)); err != nil {
		h.t.Error(err)
	}
	ends[0].Close()
	h.doors <- door
	h.accepts <- ends[1]
}

func (h *host) write(vm, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.folder, vm+".toml"), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// command returns vmsilo with arguments, on this host, of which systemd cannot be asked.
func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Args[0] = "vmsilo"
	cmd.Env = append(os.Environ(), "BE_VMSILO=1", "TEST_SOCKETS="+h.folder, "TEST_DEMAND="+h.folder+"/demand", "VMSILO_CONFIG_PATH="+h.folder,
		"DBUS_SYSTEM_BUS_ADDRESS=unix:path="+h.folder+"/bus", "TERM=xterm")
	return cmd
}

// knowing is command with a systemd that says how the VM is: by the word of units.State, or that behind "paused ".
func (h *host) knowing(state string, args ...string) *exec.Cmd {
	cmd := h.command(args...)
	cmd.Env = append(cmd.Env, "TEST_STATE="+state)
	return cmd
}

// guest is the guest's end of a connection.
type guest struct {
	t      *testing.T
	conn   net.Conn
	reader *protocol.Reader
	writer *protocol.Writer
}

// accept takes the next connection, and nothing from it.
func (h *host) accept() net.Conn {
	h.t.Helper()
	select {
	case conn := <-h.accepts:
		h.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn
	case <-time.After(20 * time.Second):
		h.t.Fatal("vmsilo does not connect")
		return nil
	}
}

// serve takes the next connection as a guest does, and returns the program that it asks for.
func (h *host) serve() (*guest, protocol.Program) {
	h.t.Helper()
	g := &guest{t: h.t, conn: h.accept()}
	g.reader = protocol.NewHostReader(g.conn)
	var err error
	if g.writer, err = protocol.NewWriter(g.conn); err != nil {
		h.t.Fatal(err)
	}
	program, err := protocol.ParseProgram(g.next(protocol.Run))
	if err != nil {
		h.t.Fatal(err)
	}
	return g, program
}

// next returns the payload of the next frame, which must be of a type.
func (g *guest) next(want protocol.Type) []byte {
	g.t.Helper()
	kind, payload, err := g.reader.Next()
	if err != nil || kind != want {
		g.t.Fatalf("got a frame of type %#02x, %v; want %#02x", kind, err, want)
	}
	return payload
}

func (g *guest) send(kind protocol.Type, payload []byte) {
	g.t.Helper()
	if err := g.writer.Write(kind, payload); err != nil {
		g.t.Fatal(err)
	}
}

// silent sees that vmsilo has nothing to say.
func (g *guest) silent() {
	g.t.Helper()
	g.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := g.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		g.t.Fatalf("vmsilo sends something (%v)", err)
	}
	g.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
}

// end ends the program.
func (g *guest) end(code byte) { g.send(protocol.Ended, protocol.Status{Code: code}.Marshal()) }

// closed waits until vmsilo has closed the connection.
func (g *guest) closed() {
	g.t.Helper()
	for {
		switch _, _, err := g.reader.Next(); {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return
		case err != nil:
			g.t.Fatalf("waiting for the end of the connection: %v", err)
		}
	}
}

// running is a vmsilo that runs.
type running struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr bytes.Buffer
	// done is closed when it has ended.
	done chan struct{}
}

// start starts cmd with its output kept, as far as it does not have one.
func (h *host) start(cmd *exec.Cmd) *running {
	h.t.Helper()
	r := &running{Cmd: cmd, t: h.t, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &r.stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &r.stderr
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		cmd.Wait() // its status is looked at by status
		close(r.done)
	}()
	h.t.Cleanup(func() {
		cmd.Process.Kill()
		<-r.done
	})
	return r
}

// status waits for the end, and returns the exit status; -1 is that of a signal.
func (r *running) status() int {
	r.t.Helper()
	select {
	case <-r.done:
		return r.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		r.t.Fatal("vmsilo does not end")
		return 0
	}
}
