package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// listen starts serve on a socket of its own; wait returns what serve returns.
func listen(t *testing.T) (socket, ready string, wait func() error) {
	t.Helper()
	dir := t.TempDir()
	socket, ready = filepath.Join(dir, "sock"), filepath.Join(dir, "ready")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l, ready, 300*time.Millisecond) }()
	return socket, ready, func() error { return <-done }
}

// say opens a connection, says text and waits until the other side closes.
func say(t *testing.T, socket, text string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil && text != "" {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
		t.Errorf("%.20q: not closed: %d, %v", text, n, err)
	}
}

func isReady(ready string) bool {
	_, err := os.Lstat(ready)
	return err == nil
}

func TestReady(t *testing.T) {
	for _, text := range []string{"READY=1", "READY=1\n", "STATUS=up\nREADY=1\nX=y"} {
		socket, ready, wait := listen(t)
		say(t, socket, text)
		say(t, socket, text)
		if err := wait(); err != nil {
			t.Error(err)
		}
		if !isReady(ready) {
			t.Errorf("%q does not make it ready", text)
		}
	}
}

func TestNotReady(t *testing.T) {
	socket, ready, wait := listen(t)
	flood := make([]byte, 100_000)
	for _, text := range []string{"", "READY=0", "READY=11", "xREADY=1", "STATUS=READY=1", "\x00READY=1", string(flood) + "\nREADY=1"} {
		if len(text) < 1000 {
			say(t, socket, text)
			continue
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text))
		conn.Close()
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	if isReady(ready) {
		t.Error("something made it ready")
	}
}

// Guests may open many connections and say nothing on them.
func TestFlood(t *testing.T) {
	socket, ready, wait := listen(t)
	for range 300 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	say(t, socket, "READY=1")
	if err := wait(); err != nil {
		t.Error(err)
	}
	if !isReady(ready) {
		t.Error("READY=1 is lost in the flood")
	}
}
