package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/handover"
	"vmsilo/internal/protocol"
	"vmsilo/internal/rights"
)

// asked begins to take who asks for a VM: each is told what answer returns, and answer who has been asked for.
func (h *host) asked(answer func(vm string) string) {
	h.t.Helper()
	listener, err := net.Listen("unix", filepath.Join(h.folder, "demand"))
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
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				h.t.Error(err)
			}
			_, _ = io.WriteString(conn, answer(strings.TrimSuffix(line, "\n")))
			conn.Close()
		}
	}()
}

// A VM that does not run is asked for, and connected to when it is up. Nothing is left where nobody listens any more.
func TestStarted(t *testing.T) {
	for _, left := range []bool{false, true} {
		h := newHost(t, "console")
		if left {
			listener := h.listen("work.run").(*net.UnixListener)
			listener.SetUnlinkOnClose(false)
			listener.Close()
		}
		h.asked(func(vm string) string {
			if vm != "work" {
				t.Errorf("%q is asked for", vm)
			}
			_ = os.Remove(filepath.Join(h.folder, "work.run"))
			h.listen("work.run")
			return "OK\n"
		})
		r := h.start(h.command("run", "work", "x"))
		g, _ := h.serve()
		g.next(protocol.Stdin)
		g.end(7)
		if status := r.status(); status != 7 || r.stderr.Len() > 0 {
			t.Errorf("status %d, %q", status, r.stderr.String())
		}
	}
}

// What is wrong with a VM's file, or whether there is one, is not for who may not read it to say: the host is asked.
func TestPrivateConfiguration(t *testing.T) {
	for _, private := range []string{"work.toml", "vmsilo.toml", "."} {
		h := newHost(t, "console")
		h.write("vmsilo", "[defaults]\ncpus = 1\n")
		h.asked(func(string) string {
			h.listen("work.run")
			return "OK\n"
		})
		cmd := h.command("run", "work", "x")
		// Beside the sockets, which must be reached.
		configuration := filepath.Join(h.folder, "etc")
		if err := os.Mkdir(configuration, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"work.toml", "vmsilo.toml"} {
			if err := os.Rename(filepath.Join(h.folder, name), filepath.Join(configuration, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(configuration, private), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(configuration, 0o700) })
		cmd.Env = append(cmd.Env, "VMSILO_CONFIG_PATH="+configuration)
		r := h.start(powerless(t, cmd))
		g, _ := h.serve()
		g.end(7)
		if status := r.status(); status != 7 || r.stderr.Len() > 0 {
			t.Errorf("%s: status %d, %q", private, status, r.stderr.String())
		}
	}
}

// powerless has a command run without root's right to read everything.
func powerless(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return cmd
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"setpriv", "--bounding-set=-dac_override,-dac_read_search", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = setpriv
	return cmd
}

// What the host says of a VM that it does not start, and what it does else that is no answer.
func TestNotStarted(t *testing.T) {
	const hint = "; to see why: vmsilo why work"
	for answer, want := range map[string]string{
		"VM \"work\" could not be started: no luck" + hint + "\n": "vmsilo: error: VM \"work\" could not be started: no luck\nhint: to see why: vmsilo why work\n",
		"no\n":                    "vmsilo: error: no\n",
		"\n":                      "vmsilo: error: \n",
		strings.Repeat("x", 9999): "vmsilo: error: asking the host for VM \"work\": its answer has no end\n",
		// It is connected to again and again, but not for ever.
		"OK\n": "vmsilo: error: connecting to VM \"work\": it does not listen: connect: no such file or directory\n",
	} {
		h := newHost(t, "console")
		asked := 0
		h.asked(func(string) string {
			asked++
			return answer
		})
		r := h.start(h.command("run", "work", "x"))
		if status := r.status(); status != 125 || !strings.HasPrefix(r.stderr.String(), want) {
			t.Errorf("%.50q: status %d, %q; want %q", answer, status, r.stderr.String(), want)
		}
		if answer == "OK\n" && asked != maxStarts {
			t.Errorf("the VM is asked for %d times", asked)
		}
	}
}

// A host that drops who asks is asked again.
func TestBusyHost(t *testing.T) {
	h := newHost(t, "console")
	dropped := false
	h.asked(func(string) string {
		if !dropped {
			dropped = true
			return ""
		}
		h.listen("work.run")
		return "OK\n"
	})
	r := h.start(h.command("run", "work", "x"))
	g, _ := h.serve()
	g.end(0)
	if status := r.status(); status != 0 || !dropped {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// One that drops everybody is not asked for ever.
func TestBusyForEver(t *testing.T) {
	h := newHost(t, "console")
	asked := 0
	h.asked(func(string) string {
		asked++
		return ""
	})
	r := h.start(h.command("run", "work", "x"))
	want := "vmsilo: error: VM \"work\": the host does not answer: too many are asking for VMs\n"
	if status := r.status(); status != 125 || !strings.HasPrefix(r.stderr.String(), want) || asked != maxDropped {
		t.Errorf("asked %d times: status %d, %q", asked, status, r.stderr.String())
	}
}

// A VM that begins to stop takes its socket away, and then drops who has connected: it is asked for. One whose socket is
// there may have begun the program, which is not run again.
func TestDropped(t *testing.T) {
	for _, gone := range []bool{true, false} {
		h := newHost(t, "console")
		listener := h.listen("work.run")
		h.asked(func(string) string {
			if !gone {
				t.Error("it is asked for")
			}
			h.listen("work.run")
			return "OK\n"
		})
		r := h.start(h.command("run", "work", "x"))
		conn := h.accept()
		if gone {
			listener.Close()
		}
		conn.Close()
		if gone {
			g, _ := h.serve()
			g.end(0)
		}
		want := map[bool]string{true: "", false: "vmsilo: error: VM \"work\" went away before it answered\n"}[gone]
		if status := r.status(); (status == 0) != gone || !strings.HasPrefix(r.stderr.String(), want) {
			t.Errorf("status %d, %q", status, r.stderr.String())
		}
	}
}

// What the host answers who wants a program, other than with a connection.
func TestNotHandedOver(t *testing.T) {
	for name, test := range map[string]struct {
		answers func(*net.UnixConn)
		want    string
	}{
		"a reason":       {func(door *net.UnixConn) { _ = handover.Refuse(door, errors.New("no luck\x1b[2J")) }, "vmsilo: error: no luck\ufffd[2J\n"},
		"nothing":        {func(*net.UnixConn) {}, "vmsilo: error: VM \"work\" went away before it answered\n"},
		"no end":         {func(door *net.UnixConn) { _, _ = io.WriteString(door, "no luck") }, "vmsilo: error: the host's answer has no end\n"},
		"no connection":  {func(door *net.UnixConn) { _, _ = io.WriteString(door, "OK\n") }, "vmsilo: error: the host has sent no connection\n"},
		"a word":         {func(door *net.UnixConn) { _ = rights.Send(door, []byte("no\n"), door) }, "vmsilo: error: no\n"},
		"another thing":  {func(door *net.UnixConn) { _ = rights.Send(door, []byte("OK\n"), os.Stdin) }, "vmsilo: error: taking the connection to the guest: "},
		"several things": {func(door *net.UnixConn) { _, _, _ = door.WriteMsgUnix([]byte("OK\n"), unix.UnixRights(0, 1), nil) }, "vmsilo: error: taking the connection to the guest: "},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "console")
			h.answers = test.answers
			h.listen("work.run")
			r := h.start(h.command("run", "work", "x"))
			if status := r.status(); status != 125 || !strings.HasPrefix(r.stderr.String(), test.want) {
				t.Errorf("status %d, %q; want %q", status, r.stderr.String(), test.want)
			}
		})
	}
}

// A VM that begins to stop may have no way to its guest any more, while its socket is gone: it is asked for.
func TestRefusedAtTheStop(t *testing.T) {
	h := newHost(t, "console")
	h.answers = func(door *net.UnixConn) {
		_ = os.Remove(filepath.Join(h.folder, "work.run"))
		_ = handover.Refuse(door, errors.New("too late"))
	}
	h.listen("work.run")
	h.asked(func(string) string {
		h.answers = nil
		h.listen("work.run")
		return "OK\n"
	})
	r := h.start(h.command("run", "work", "x"))
	g, _ := h.serve()
	g.end(0)
	if status := r.status(); status != 0 || r.stderr.Len() > 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// What has arrived by then is not lost to who takes it late.
func TestHostEndsAndOutputIsTakenLate(t *testing.T) {
	h := newHost(t, "run")
	cmd := h.command("run", "work", "x")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	r := h.start(cmd)
	write.Close()
	g, _ := h.serve()
	words := bytes.Repeat([]byte("x"), 100_000)
	g.send(protocol.Stdout, words)
	g.end(0)
	g.conn.Close()
	(<-h.doors).Close()
	time.Sleep(handover.Parting + time.Second)
	if got, err := io.ReadAll(read); err != nil || !bytes.Equal(got, words) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if status := r.status(); status != 0 || r.stderr.Len() > 0 {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}

// A host that closes ends the program, and vmsilo takes what the guest still says, but does not wait for ever.
func TestHostEnds(t *testing.T) {
	for _, answers := range []bool{true, false} {
		h := newHost(t, "run")
		r := h.start(h.command("run", "work", "x"))
		g, _ := h.serve()
		g.next(protocol.Stdin)
		(<-h.doors).Close()
		g.closed()
		want := "vmsilo: error: VM \"work\" went away while the program ran\n"
		if answers {
			g.send(protocol.Stdout, []byte("last words"))
			g.conn.Close()
			want = "last words" + want
		}
		if status := r.status(); status != 125 || !strings.HasPrefix(r.stdout.String()+r.stderr.String(), want) {
			t.Errorf("status %d, %q, %q", status, r.stdout.String(), r.stderr.String())
		}
	}
}
