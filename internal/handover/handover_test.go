package handover

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// A connection that is handed over stays open on both sides until both have closed it, and ends with the host's.
func TestGive(t *testing.T) {
	host, client := pair(t)
	near, guest := pair(t)
	if err := Give(host, near); err != nil {
		t.Fatal(err)
	}
	near.Close()
	got, err := Take(client)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, err := io.WriteString(guest, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(got, make([]byte, len("hello"))); err != nil {
		t.Error(err)
	}
	host.Close()
	if said, err := io.ReadAll(guest); len(said) > 0 || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

// taken returns a connection that was handed over, and the guest's side of it.
func taken(t *testing.T) (got *Guest, guest *net.UnixConn) {
	t.Helper()
	host, client := pair(t)
	near, guest := pair(t)
	if err := Give(host, near); err != nil {
		t.Fatal(err)
	}
	near.Close()
	got, err := Take(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { got.Close() })
	return got, guest
}

// What comes in pieces is one read, and the end has what is there.
func TestRead(t *testing.T) {
	got, guest := taken(t)
	go func() {
		for _, piece := range []string{"one ", "two ", "three"} {
			time.Sleep(20 * time.Millisecond)
			_, _ = io.WriteString(guest, piece)
		}
		guest.Close()
	}()
	for _, want := range []string{"one two ", "three"} {
		buffer := make([]byte, 8)
		if n, err := got.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Errorf("%q and not %q: %v", buffer[:n], want, err)
		}
	}
	if n, err := got.Read(make([]byte, 8)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
}

// Close ends who waits for the guest, to write as well as to read.
func TestClose(t *testing.T) {
	got, guest := taken(t)
	go func() { _, _ = io.WriteString(guest, "x") }()
	if _, err := got.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := got.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		_, err := got.Write(make([]byte, 8<<20))
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	go got.Close()
	for range 2 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("there was no end")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it goes on")
		}
	}
}

// A reason is one line, and never too long for who reads it.
func TestRefuse(t *testing.T) {
	for reason, want := range map[string]string{
		"no luck":                  "no luck",
		"no\nluck":                 "no luck",
		strings.Repeat("x", 5_000): strings.Repeat("x", maxAnswer-1),
	} {
		host, client := pair(t)
		if err := Refuse(host, errors.New(reason)); err != nil {
			t.Fatal(err)
		}
		var refused *Refused
		if _, err := Take(client); !errors.As(err, &refused) || refused.Text != want {
			t.Errorf("%q: %v", reason, err)
		}
	}
}
