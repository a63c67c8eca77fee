package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

func TestProgram(t *testing.T) {
	h := newHost(t, "run")
	r := h.start(h.command("run", "--env=A=1", "--directory=src", "--env=B=x=y", "work", "ls", "-t", "--env=C=2", "--", ""))
	g, got := h.serve()
	want := protocol.Program{Directory: "src", Args: []string{"ls", "-t", "--env=C=2", "--", ""}, Env: []string{"A=1", "B=x=y"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	g.next(protocol.Stdin) // of /dev/null
	g.send(protocol.Stdout, []byte("out \x1b[31m"))
	g.send(protocol.Stderr, []byte("err"))
	g.send(protocol.Stdout, nil)
	g.send(protocol.Stdout, []byte("put"))
	g.end(3)
	g.closed()
	if status := r.status(); status != 3 || r.stdout.String() != "out \x1b[31mput" || r.stderr.String() != "err" {
		t.Errorf("status %d, %q, %q", status, r.stdout.String(), r.stderr.String())
	}
}

func TestShellWithoutTerminal(t *testing.T) {
	h := newHost(t, "run")
	r := h.start(h.command("shell", "work"))
	g, program := h.serve()
	if len(program.Args) != 0 || program.Terminal != nil {
		t.Errorf("got %+v", program)
	}
	g.end(0)
	if status := r.status(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// What the guest says last, as the status that vmsilo ends with and what it says.
func TestEnds(t *testing.T) {
	raw := func(bytes string) func(*guest) {
		return func(g *guest) { io.WriteString(g.conn, bytes); g.conn.Close() }
	}
	says := func(kind protocol.Type, payload ...byte) func(*guest) {
		return func(g *guest) { g.send(kind, payload) }
	}
	failure := func(code byte, text string) func(*guest) {
		return says(protocol.Failed, (&protocol.Failure{Code: code, Text: text}).Marshal()...)
	}
	const malformed = `vmsilo: error: the guest of VM "work" does not keep to the protocol: malformed: `
	const away = `vmsilo: error: VM "work" went away while the program ran` + "\nhint: to see why: vmsilo why work\n"
	for name, test := range map[string]struct {
		do     func(*guest)
		status int
		stderr string
	}{
		"success":        {says(protocol.Ended, 0, 0), 0, ""},
		"status":         {says(protocol.Ended, 255, 0), 255, ""},
		"killed":         {says(protocol.Ended, 0, 9), 137, ""},
		"not found":      {failure(127, "no such program"), 127, "vmsilo: error: no such program\n"},
		"not executable": {failure(126, "is a folder"), 126, "vmsilo: error: is a folder\n"},
		"failed":         {failure(125, "512 run\x1b[2J"), 125, "vmsilo: error: 512 run\ufffd[2J\n"},
		"no failure":     {failure(0, "x"), 125, "vmsilo: error: x\n"},
		"closed":         {raw(""), 125, away},
		"half a header":  {raw("\x81\x00"), 125, away},
		"half a frame":   {raw("\x81\x00\x00\x09abc"), 125, away},
		"unknown type":   {raw("\x99\x00\x00\x00"), 125, malformed + "a frame of type 0x99\n"},
		"a host's frame": {raw("\x02\x00\x00\x00"), 125, malformed + "a frame of type 0x02\n"},
		"too long":       {raw("\x81\x10\x00\x01"), 125, malformed + "a frame of type 0x81 with 1048577 bytes\n"},
		"out of place":   {says(protocol.Done), 125, malformed + "a frame of type 0x86, which is not about a program\n"},
		"too much":       {says(protocol.Window, protocol.WindowPayload(protocol.InitialWindow+1)...), 125, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "run")
			r := h.start(h.command("run", "work", "x"))
			g, _ := h.serve()
			test.do(g)
			if status := r.status(); status != test.status || !strings.HasPrefix(r.stderr.String(), test.stderr) || (test.stderr == "" && r.stderr.Len() > 0) {
				t.Errorf("status %d, %q; want %d, %q", status, r.stderr.String(), test.status, test.stderr)
			}
		})
	}
}

// A connection that ends is the end of the VM only where that has ended.
func TestConnectionThatEnds(t *testing.T) {
	for state, want := range map[string]string{
		"running": "vmsilo: error: the connection to VM \"work\", which runs, was lost while the program ran\nhint: to see why: journalctl --unit=vmsilo-run@work, ",
		"failed":  "vmsilo: error: VM \"work\" went away while the program ran\nhint: to see why: vmsilo why work\n",
	} {
		h := newHost(t, "run")
		r := h.start(h.knowing(state, "run", "work", "x"))
		g, _ := h.serve()
		g.conn.Close()
		if status := r.status(); status != 125 || !strings.HasPrefix(r.stderr.String(), want) {
			t.Errorf("%s: status %d, %q", state, status, r.stderr.String())
		}
	}
}

// Who waits for the guest of a VM that is paused is told so.
func TestPaused(t *testing.T) {
	h := newHost(t, "run")
	r := h.start(h.knowing("paused running", "run", "work", "x"))
	g, _ := h.serve()
	g.send(protocol.Failed, (&protocol.Failure{Code: protocol.NotRun, Text: "no answer"}).Marshal())
	want := "vmsilo: error: no answer\nhint: vmsilo resume work\n"
	if status := r.status(); status != 125 || r.stderr.String() != want {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

func TestGreeting(t *testing.T) {
	for sent, want := range map[string]string{
		"":           `vmsilo: error: VM "work" went away before it answered`,
		"vmsi":       `vmsilo: error: VM "work" went away before it answered`,
		"vmsilo2\n":  `greets with "vmsilo2\n"`,
		"\x1b[2J…hm": `does not keep to the protocol`,
	} {
		h := newHost(t, "run")
		r := h.start(h.command("run", "work", "x"))
		conn := h.accept()
		io.WriteString(conn, sent)
		conn.Close()
		if status := r.status(); status != 125 || !strings.Contains(r.stderr.String(), want) || strings.Contains(r.stderr.String(), "\x1b") {
			t.Errorf("%q: status %d, %q", sent, status, r.stderr.String())
		}
	}
}

// No more input is sent than the guest allows, all of it arrives, and its end is told.
func TestInput(t *testing.T) {
	h := newHost(t, "run")
	data := make([]byte, 5<<20+123)
	rand.Read(data)
	cmd := h.command("run", "work", "sum")
	cmd.Stdin = bytes.NewReader(data)
	r := h.start(cmd)
	g, _ := h.serve()
	var got []byte
	for allowed := protocol.InitialWindow; len(got) < len(data); allowed += protocol.InitialWindow {
		for len(got) < min(allowed, len(data)) {
			got = append(got, g.next(protocol.Stdin)...)
		}
		if len(got) < len(data) {
			g.silent()
			g.send(protocol.Window, protocol.WindowPayload(protocol.InitialWindow))
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("the input is another one")
	}
	g.end(0)
	if status := r.status(); status != 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

func TestEndOfInput(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "cat")
	cmd.Stdin = strings.NewReader("a\n")
	r := h.start(cmd)
	g, _ := h.serve()
	if first, last := string(g.next(protocol.Stdin)), string(g.next(protocol.Stdin)); first != "a\n" || last != "" {
		t.Errorf("got %q, %q", first, last)
	}
	g.end(0)
	r.status()
}

// A program that ends does not wait for input that nobody gives, nor does one that does not read hold up a signal.
func TestInputThatDoesNotEnd(t *testing.T) {
	h := newHost(t, "run")
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	quiet, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Signals are the program's from before the first of its input.
	write.WriteString("x")
	for _, file := range []*os.File{zero, quiet} {
		cmd := h.command("run", "work", "sleep")
		cmd.Stdin = file
		r := h.start(cmd)
		g, _ := h.serve()
		for got := len(g.next(protocol.Stdin)); file == zero && got < protocol.InitialWindow; {
			got += len(g.next(protocol.Stdin))
		}
		r.Process.Signal(syscall.SIGTERM)
		if got := g.next(protocol.Signal); got[0] != byte(syscall.SIGTERM) {
			t.Errorf("got signal %d", got[0])
		}
		g.end(7)
		if status := r.status(); status != 7 {
			t.Errorf("status %d, %q", status, r.stderr.String())
		}
	}
}

// A guest that does not care is left with the second SIGTERM, and sees the connection close.
func TestSecondSignal(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "sleep")
	cmd.Stdin = strings.NewReader("x")
	r := h.start(cmd)
	g, _ := h.serve()
	g.next(protocol.Stdin)
	g.next(protocol.Stdin)
	r.Process.Signal(syscall.SIGTERM)
	g.next(protocol.Signal)
	r.Process.Signal(syscall.SIGTERM)
	if status := r.status(); status != 128+int(syscall.SIGTERM) || r.stderr.String() != "" {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
	g.closed()
}

// What a guest has said last arrives, though it reads none of the input that is still sent.
func TestLastWords(t *testing.T) {
	h := newHost(t, "run")
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	cmd := h.command("run", "work", "x")
	cmd.Stdin = zero
	r := h.start(cmd)
	g, _ := h.serve()
	words := bytes.Repeat([]byte("last words "), 30_000)
	g.send(protocol.Stdout, words)
	g.end(7)
	g.conn.Close()
	if status := r.status(); status != 7 || !bytes.Equal(r.stdout.Bytes(), words) {
		t.Errorf("status %d, %d bytes, %q", status, r.stdout.Len(), r.stderr.String())
	}
}

// Nobody types to a program without a terminal, which may wait for more to be read.
func TestPolicy(t *testing.T) {
	for _, test := range []struct {
		args []string
		want uint32
	}{
		{[]string{"run", "work", "x"}, unix.SCHED_BATCH},
		{[]string{"run", "-t", "work", "x"}, unix.SCHED_NORMAL},
	} {
		h := newHost(t, "run")
		r := h.start(h.command(test.args...))
		g, _ := h.serve()
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			id, _ := strconv.Atoi(thread.Name())
			if got, err := unix.SchedGetAttr(id, 0); err != nil || got.Policy != test.want {
				t.Errorf("%q: thread %d: policy %+v, %v; want %d", test.args, id, got, err, test.want)
			}
		}
		g.end(0)
		r.status()
	}
}

// A signal that was ignored when vmsilo started is none of the program.
func TestIgnoredSignal(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "x")
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Stdin = strings.NewReader("x")
	r := h.start(cmd)
	g, _ := h.serve()
	g.next(protocol.Stdin)
	g.next(protocol.Stdin)
	r.Process.Signal(syscall.SIGHUP)
	g.silent()
	g.end(0)
	if status := r.status(); status != 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// Half of a file is not taken for all of it.
func TestInputThatCannotBeRead(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "cat")
	folder, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = folder
	r := h.start(cmd)
	g, _ := h.serve()
	if kind, payload, err := g.reader.Next(); err == nil {
		t.Errorf("a frame of type %#02x, %q", kind, payload)
	}
	if status := r.status(); status != 125 || !strings.Contains(r.stderr.String(), "is a directory") {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

func TestOutputThatNobodyTakes(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "yes")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	cmd.Stdout = write
	r := h.start(cmd)
	g, _ := h.serve()
	g.send(protocol.Stdout, []byte("y\n"))
	g.closed()
	if status := r.status(); status != 128+int(syscall.SIGPIPE) || r.stderr.Len() > 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// A guest that does not come up is not waited for by a vmsilo that was told to end.
func TestSignalBeforeTheGuest(t *testing.T) {
	h := newHost(t, "run")
	r := h.start(h.command("run", "work", "x"))
	conn := h.accept()
	r.Process.Signal(syscall.SIGINT)
	if status := r.status(); status != -1 {
		t.Errorf("status %d", status)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
	if r.stderr.Len() > 0 {
		t.Errorf("it says %q", r.stderr.String())
	}
}

func TestNoVM(t *testing.T) {
	h := newHost(t, "run")
	h.write("new", "id = 9\n")
	for name, want := range map[string]string{
		"wrok":                   "vmsilo: error: no VM is named \"wrok\"\nhint: did you mean work?\n",
		"zebra":                  "vmsilo: error: no VM is named \"zebra\"\nhint: there are: broken, new, work\n",
		"../x":                   `no VM is named "../x"`,
		"broken":                 "the configuration of VM \"broken\" has errors:\n" + h.folder + "/broken.toml:2:1: unknown key \"memroy\"\n    memroy = 1\n    ^~~~~~\n",
		"new":                    "vmsilo: error: asking the host for VM \"new\": connect: no such file or directory\nhint: as root: systemctl start vmsilo-demand.socket\n",
		strings.Repeat("x", 200): "no VM is named",
	} {
		r := h.start(h.command("run", name, "true"))
		if status := r.status(); status != 125 || !strings.Contains(r.stderr.String(), want) {
			t.Errorf("%s: status %d, %q; want %q", name, status, r.stderr.String(), want)
		}
	}
}
