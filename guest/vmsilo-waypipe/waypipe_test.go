package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/guest/internal/pieces"
)

// start runs the carrier with a way to the host that keeps what is written at once apart, and whose ends come as hosts.
func start(t *testing.T, refuse error) (socket string, hosts chan *os.File, ended chan error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	hosts, ended = make(chan *os.File, 1), make(chan error, 1)
	connect := func() (*os.File, error) {
		if refuse != nil {
			return nil, refuse
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		hosts <- os.NewFile(uintptr(pair[0]), "host")
		return os.NewFile(uintptr(pair[1]), "guest"), nil
	}
	go func() { ended <- serve(listener, connect, 300*time.Millisecond) }()
	return socket, hosts, ended
}

func connectTo(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// TestCarry sends much each way, of which the host gets no more at once than its device takes, and ends when nothing is carried.
func TestCarry(t *testing.T) {
	socket, hosts, ended := start(t, nil)
	conn := connectTo(t, socket)
	host := <-hosts
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, _ = conn.Write(data)
		_ = conn.CloseWrite()
	}()
	var got []byte
	for buffer := make([]byte, len(data)); ; {
		n, err := host.Read(buffer)
		if err != nil {
			break
		}
		if got = append(got, buffer[:n]...); n > pieces.Max {
			t.Fatalf("%d bytes at once", n)
		}
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes have come, not the %d", len(got), len(data))
	}
	// The guest has said all, and hears the host all the same.
	if _, err := host.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Errorf("it has left a connection: %v", err)
	case <-time.After(time.Second):
	}
	host.Close()
	if rest, err := io.ReadAll(conn); string(rest) != "answer" || err != nil {
		t.Errorf("%q has come: %v", rest, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// TestRefused has no way to the host: who connects is told at once.
func TestRefused(t *testing.T) {
	socket, _, ended := start(t, errors.New("no way"))
	if rest, err := io.ReadAll(connectTo(t, socket)); len(rest) > 0 || err != nil {
		t.Errorf("%q: %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
