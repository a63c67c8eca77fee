package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestConsole(t *testing.T) {
	h, p := newHost(t, "console"), newPTY(t)
	before, _ := p.mode()
	r := h.start(p.on(h.command("console", "work")))
	conn := h.accept()
	p.shows("attached to the console of work; Ctrl-] detaches")
	p.awaitRaw()
	p.types("ls\r\x03")
	typed := make([]byte, 4)
	if _, err := io.ReadFull(conn, typed); err != nil || string(typed) != "ls\r\x03" {
		t.Errorf("got %q, %v", typed, err)
	}
	conn.Write([]byte("root@work:~# "))
	p.shows("root@work:~# ")
	// In the midst of what is pasted: what comes behind it is not for the guest.
	p.types("echo a\x1decho b\r")
	rest, err := io.ReadAll(conn)
	if err != nil || string(rest) != "echo a" {
		t.Errorf("got %q, %v", rest, err)
	}
	if status := r.status(); status != 0 {
		t.Errorf("status %d", status)
	}
	if after, _ := p.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, and was %+v", after, before)
	}
}

func TestConsoleOfAVMThatEnds(t *testing.T) {
	h, p := newHost(t, "console"), newPTY(t)
	before, _ := p.mode()
	r := h.start(p.on(h.command("console", "work")))
	conn := h.accept()
	p.awaitRaw()
	conn.Close()
	p.shows("vmsilo: the VM has ended")
	if status := r.status(); status != 0 {
		t.Errorf("status %d", status)
	}
	if after, _ := p.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, and was %+v", after, before)
	}
}

// With input that is no terminal, what comes within a moment after its end is still shown.
func TestConsoleInAPipe(t *testing.T) {
	h := newHost(t, "console")
	cmd := h.command("console", "work")
	cmd.Stdin = strings.NewReader("uptime \x1d\n")
	r := h.start(cmd)
	conn := h.accept()
	typed := make([]byte, 9)
	if _, err := io.ReadFull(conn, typed); err != nil || string(typed) != "uptime \x1d\n" {
		t.Errorf("got %q, %v", typed, err)
	}
	for range 4 {
		time.Sleep(400 * time.Millisecond)
		conn.Write([]byte("up "))
	}
	if status := r.status(); status != 0 || r.stdout.String() != "up up up up " || r.stderr.Len() > 0 {
		t.Errorf("status %d, %q, %q", status, r.stdout.String(), r.stderr.String())
	}
}

func TestConsoleEndsBeforeTheInput(t *testing.T) {
	h := newHost(t, "console")
	cmd := h.command("console", "work")
	quiet, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = quiet
	r := h.start(cmd)
	conn := h.accept()
	io.WriteString(conn, "Power down.\n")
	conn.Close()
	if status := r.status(); status != 0 || r.stdout.String() != "Power down.\n" || r.stderr.String() != "vmsilo: the VM has ended\n" {
		t.Errorf("status %d, %q, %q", status, r.stdout.String(), r.stderr.String())
	}
}

// A console that closes is the end of the VM only where that has ended.
func TestConsoleThatCloses(t *testing.T) {
	for state, want := range map[string]string{
		"running":  "vmsilo: error: the console of VM \"work\" has closed, though the VM runs\nhint: one at a time is attached, ",
		"stopping": "vmsilo: the VM has ended\n",
	} {
		h := newHost(t, "console")
		r := h.start(h.knowing(state, "console", "work"))
		conn := h.accept()
		io.WriteString(conn, "somebody is attached to the console of VM work already\n")
		conn.Close()
		if status := r.status(); (status == 1) != (state == "running") || !strings.HasPrefix(r.stderr.String(), want) {
			t.Errorf("%s: status %d, %q", state, status, r.stderr.String())
		}
	}
}

func TestConsoleOfNoVM(t *testing.T) {
	h := newHost(t, "console")
	r := h.start(h.command("console", "wrok"))
	if status := r.status(); status != 1 || !strings.Contains(r.stderr.String(), "did you mean work?") {
		t.Errorf("status %d, %q", status, r.stderr.String())
	}
}
