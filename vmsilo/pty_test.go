package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/internal/protocol"
	"vmsilo/vmsilo/units"
)

// pty is a terminal, and the person at it.
type pty struct {
	t             *testing.T
	master, slave *os.File
	mu            sync.Mutex
	seen          bytes.Buffer
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, master: master, slave: slave}
	t.Cleanup(func() { slave.Close(); master.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			p.mu.Lock()
			p.seen.Write(buffer[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// shows waits until the terminal has shown a text.
func (p *pty) shows(want string) {
	p.t.Helper()
	p.await(want, strings.Contains)
}

// endsWith waits until a text is the last that the terminal has shown.
func (p *pty) endsWith(want string) {
	p.t.Helper()
	p.await(want, strings.HasSuffix)
}

func (p *pty) await(want string, is func(text, want string) bool) {
	p.t.Helper()
	for range 1000 {
		if is(p.text(), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatalf("the terminal shows %q, and not %q", p.text(), want)
}

func (p *pty) types(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) resize(rows, columns uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		p.t.Fatal(err)
	}
}

// mode returns the terminal's mode; raw ones do not echo.
func (p *pty) mode() (mode unix.Termios, raw bool) {
	p.t.Helper()
	got, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *got, got.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) == 0 && got.Oflag&unix.OPOST == 0
}

// awaitRaw waits until the terminal is raw.
func (p *pty) awaitRaw() {
	p.t.Helper()
	for range 1000 {
		if _, raw := p.mode(); raw {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatal("the terminal does not become raw")
}

// on makes it the terminal of a command.
func (p *pty) on(cmd *exec.Cmd) *exec.Cmd {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return cmd
}

func TestTerminal(t *testing.T) {
	h, p := newHost(t, "run"), newPTY(t)
	p.resize(50, 132)
	before, _ := p.mode()
	r := h.start(p.on(h.command("shell", "work")))
	g, program := h.serve()
	if program.Terminal == nil || *program.Terminal != (protocol.Size{Rows: 50, Columns: 132}) || strings.Join(program.Env, " ") != "TERM=xterm" {
		t.Errorf("got %+v", program)
	}
	p.awaitRaw()
	// Nothing that is typed is the host's: neither Ctrl-C nor Ctrl-Z, Ctrl-D, Ctrl-S or a return.
	p.types("\x03\x1a\x04\x13\r")
	typed := ""
	for len(typed) < 5 {
		typed += string(g.next(protocol.Stdin))
	}
	if typed != "\x03\x1a\x04\x13\r" {
		t.Errorf("got %q", typed)
	}
	p.resize(30, 90)
	if size := protocol.ParseSize(g.next(protocol.Resize)); size != (protocol.Size{Rows: 30, Columns: 90}) {
		t.Errorf("got %+v", size)
	}
	g.send(protocol.Stdout, []byte("a\nb"))
	p.shows("a\nb")
	g.end(5)
	if status := r.status(); status != 5 {
		t.Errorf("status %d", status)
	}
	if after, _ := p.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, and was %+v", after, before)
	}
}

// The terminal is as it was, however vmsilo ends.
func TestTerminalIsRestored(t *testing.T) {
	for name, end := range map[string]func(*guest){
		"ended":     func(g *guest) { g.end(0) },
		"lost":      func(g *guest) { g.conn.Close() },
		"malformed": func(g *guest) { g.conn.Write([]byte("\xff\xff\xff\xff")) },
		"failed":    func(g *guest) { g.send(protocol.Failed, []byte("\x7dx")) },
	} {
		h, p := newHost(t, "run"), newPTY(t)
		before, _ := p.mode()
		r := h.start(p.on(h.command("run", "-t", "work", "x")))
		g, _ := h.serve()
		p.awaitRaw()
		end(g)
		r.status()
		if after, _ := p.mode(); after != before {
			t.Errorf("%s: the terminal's mode is %+v, and was %+v", name, after, before)
		}
	}
}

// A reader that is gone, with the terminal raw.
func TestTerminalIsRestoredWithoutReader(t *testing.T) {
	h, p := newHost(t, "run"), newPTY(t)
	before, _ := p.mode()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	cmd := p.on(h.command("run", "-t", "work", "x"))
	cmd.Stdout = write
	r := h.start(cmd)
	g, _ := h.serve()
	p.awaitRaw()
	g.send(protocol.Stdout, []byte("x"))
	if status := r.status(); status != 141 {
		t.Errorf("status %d", status)
	}
	if after, _ := p.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, and was %+v", after, before)
	}
}

// Signals are the program's when the terminal is raw, too. A shell that had the terminal meanwhile has left its mode.
func TestTerminalAndSignals(t *testing.T) {
	// What this process ignores, as under nohup(1), vmsilo would ignore, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	h, p := newHost(t, "run"), newPTY(t)
	before, _ := p.mode()
	r := h.start(p.on(h.command("run", "-t", "work", "x")))
	g, _ := h.serve()
	p.awaitRaw()
	r.Process.Signal(syscall.SIGHUP)
	if got := g.next(protocol.Signal); got[0] != byte(syscall.SIGHUP) {
		t.Errorf("got signal %d", got[0])
	}
	if err := unix.IoctlSetTermios(int(p.slave.Fd()), unix.TCSETS, &before); err != nil {
		t.Fatal(err)
	}
	r.Process.Signal(syscall.SIGCONT)
	p.awaitRaw()
	g.end(0)
	r.status()
}

func TestTerminalWithoutOne(t *testing.T) {
	h := newHost(t, "run")
	r := h.start(h.command("run", "-t", "--env=TERM=vt100", "work", "x"))
	g, program := h.serve()
	if program.Terminal == nil || *program.Terminal != (protocol.Size{Rows: 24, Columns: 80}) || strings.Join(program.Env, " ") != "TERM=vt100" {
		t.Errorf("got %+v", program)
	}
	g.end(0)
	if status := r.status(); status != 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// With & of a shell a program has no input, and goes on.
func TestBackground(t *testing.T) {
	h, p := newHost(t, "run"), newPTY(t)
	cmd := h.command("run", "work", "x")
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `set -m; "$0" "$@" & wait $!`, cmd.Path}, cmd.Args[1:]...)
	r := h.start(p.on(cmd))
	g, _ := h.serve()
	if input := g.next(protocol.Stdin); len(input) > 0 {
		t.Errorf("input of %q", input)
	}
	g.end(7)
	if status := r.status(); status != 7 {
		t.Errorf("status %d, %q", status, p.text())
	}
}

// What is waited for is shown on a terminal, and gone when the guest has answered.
func TestProgressOfAStart(t *testing.T) {
	h, p := newHost(t, "run"), newPTY(t)
	cmd := h.command("run", "work", "x")
	cmd.Stderr = p.slave
	r := h.start(cmd)
	conn := h.accept()
	p.shows("waiting for work")
	conn.Write([]byte(protocol.Greeting + "\x84\x00\x00\x02\x00\x00"))
	if status := r.status(); status != 0 {
		t.Errorf("status %d, %q", status, p.text())
	}
	p.endsWith("waiting for work\r\x1b[K")
}

// What is waited for is the guest's answer, once that runs.
func TestStage(t *testing.T) {
	for want, state := range map[string]units.State{
		"work is paused: vmsilo resume work": {Word: "running", Paused: true},
		"waiting for the guest of work":      {Word: "running"},
		"starting work: interface a, disk":   {Word: "starting"},
	} {
		if got := stage("work", state, []string{"interface a", "disk"}); got != want {
			t.Errorf("%+v: %q", state, got)
		}
	}
	if got := stage("work", units.State{}, nil); got != "starting work" {
		t.Errorf("%q", got)
	}
}

func TestSignalDuringProgress(t *testing.T) {
	h, p := newHost(t, "run"), newPTY(t)
	cmd := h.command("run", "-t", "work", "x")
	r := h.start(p.on(cmd))
	h.accept()
	p.shows("waiting for work")
	if _, raw := p.mode(); raw {
		t.Error("the terminal is raw while there is no program")
	}
	p.types("\x03")
	if status := r.status(); status != 130 {
		t.Errorf("status %d, %q", status, p.text())
	}
	p.endsWith("^C\r\x1b[K")
}
