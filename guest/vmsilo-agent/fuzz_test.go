package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/idle"
	"vmsilo/internal/protocol"
)

// Whatever a host says, the agent comes to an end with it: it answers with nothing but one failure, and what reaches a program
// is what was sent as its input.
func FuzzAgent(f *testing.F) {
	const run = "\x01\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00true\x00"
	for _, frames := range []string{
		"", run, "\x04\x00\x00\x01\x09", "\x03\x00\x00\x04\x00\x18\x00\x50", "\x02\x00\x00\x03abc\x02\x00\x00\x00",
		"\x02\x00\x00\x01a\x02\x00\x00\x01b\x04\x00\x00\x01\x0f\x02\x00\x00\x00\x02\x00\x00\x01c", "\x02\x00\x00\x09abc", "\x02\xff\xff\xff",
	} {
		f.Add(false, []byte(protocol.Greeting+frames))
		f.Add(true, []byte(protocol.Greeting+frames))
	}
	f.Fuzz(func(t *testing.T, waits bool, said []byte) {
		checkFirst(t, said)
		checkInput(t, said, waits)
	})
}

// checkFirst has an agent take a connection. It starts no program: there is nowhere to make a control group.
func checkFirst(t *testing.T, said []byte) {
	t.Helper()
	a := &agent{
		groups: &groups{folder: "/nowhere"}, env: []string{"HOME=/", "PATH=/usr/bin", "SHELL=/bin/sh"},
		patience: time.Minute, load: idle.New(nobody{}, time.Minute),
	}
	host, guest := speak(t, said)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.connection(guest)
	}()
	from := protocol.NewGuestReader(host)
	for answers := 0; ; answers++ {
		kind, _, err := from.Next()
		if err == io.EOF && answers < 2 {
			break
		}
		if err != nil || kind != protocol.Failed || answers > 0 {
			t.Fatalf("answer %d is a frame of type %#02x, %v", answers, byte(kind), err)
		}
	}
	<-ended
}

// nobody is a listener at which nobody waits.
type nobody struct{}

func (nobody) SetDeadline(time.Time) error { return nil }

// checkInput has an agent listen while a program runs, to which input is moved by the kernel, or for which it waits in the agent, as
// for one on a terminal.
func checkInput(t *testing.T, said []byte, waits bool) {
	t.Helper()
	pipe, theirs, err := openPipe(1)
	if err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(theirs), "input")
	defer reader.Close()
	// It has ended, so that there is nothing to send a signal to.
	p := &program{input: newInput(pipe), ended: true}
	if waits {
		p.input = newInput(nil)
	}
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(reader)
		got <- all
	}()
	_, guest := speak(t, said)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		to, _ := protocol.NewWriter(io.Discard)
		_ = p.input.copyTo(pipe, to)
		pipe.Close()
	}()
	_ = p.listen(guest, protocol.NewHostReader(guest))
	p.input.mu.Lock()
	p.input.ended = true
	p.input.changed.Signal()
	p.input.mu.Unlock()
	<-copied
	whole, part := inputOf(said)
	if all := <-got; !bytes.HasPrefix(all, whole) || !bytes.HasPrefix(append(whole, part...), all) {
		t.Errorf("%q makes %q of %q", said, all, whole)
	}
}

// inputOf returns what input there is in what a host says, and what there is of a frame that has no end.
func inputOf(said []byte) (whole, part []byte) {
	rest := bytes.NewReader(said)
	from := protocol.NewHostReader(rest)
	for ended := false; ; {
		kind, size, err := from.Header()
		if err != nil {
			return whole, nil
		}
		left := said[len(said)-rest.Len():]
		payload, err := from.Payload(size)
		switch {
		case err != nil && kind == protocol.Stdin && !ended:
			return whole, left
		case err != nil:
			return whole, nil
		case kind == protocol.Stdin && !ended:
			whole, ended = append(whole, payload...), size == 0
		case kind == protocol.Signal:
			if _, err := protocol.ParseSignal(payload); err != nil {
				return whole, nil
			}
		case kind != protocol.Stdin && kind != protocol.Resize:
			return whole, nil
		}
	}
}

// speak returns the ends of a connection whose host says something, and nothing after that.
func speak(t *testing.T, said []byte) (host net.Conn, guest *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if guest, err = pollable(pair[1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guest.Close() })
	end := os.NewFile(uintptr(pair[0]), "host")
	defer end.Close()
	if host, err = net.FileConn(end); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	go func() {
		_, _ = host.Write(said)
		_ = host.(*net.UnixConn).CloseWrite()
	}()
	return host, guest
}
