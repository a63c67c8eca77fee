package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// header and key are how waypipe's server begins a connection: version 1 of its protocol, a mark that is always there, and
// that it uses neither GPUs, nor compression, nor video. See CONN_ in util.h of waypipe.
var (
	header = uint32(1<<16 | 1<<7 | 1<<2 | 1<<8 | 1<<11)
	key    [12]byte
)

// start runs the helper with a real waypipe, and a compositor that counts its clients.
func start(t *testing.T, idle time.Duration) (socket string, clients chan *net.UnixConn, ended chan error) {
	t.Helper()
	folder := t.TempDir()
	listen := func(name string) *net.UnixListener {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(folder, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	compositor, listener := listen("wayland"), listen("host.sock_5003")
	clients, ended = make(chan *net.UnixConn, 1000), make(chan error, 1)
	go func() {
		for {
			conn, err := compositor.AcceptUnix()
			if err != nil {
				return
			}
			clients <- conn
		}
	}()
	go func() {
		ended <- serve(listener, &waypipe{folder: t.TempDir(), display: filepath.Join(folder, "wayland")}, idle)
	}()
	t.Cleanup(func() {
		listener.Close()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("it does not end")
		}
	})
	return filepath.Join(folder, "host.sock_5003"), clients, ended
}

func connect(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// greet says what waypipe's server says first.
func greet(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write(append(binary.NativeEndian.AppendUint32(nil, header), key[:]...)); err != nil {
		t.Fatal(err)
	}
}

// next returns the next client of the compositor that stays: waypipe tries first whether it is there.
func next(t *testing.T, clients chan *net.UnixConn) *net.UnixConn {
	t.Helper()
	for {
		select {
		case conn := <-clients:
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				return conn
			}
		case <-time.After(30 * time.Second):
			t.Fatal("waypipe has not connected")
		}
	}
}

// TestClient has a client of the guest reach the compositor, and see its end.
func TestClient(t *testing.T) {
	socket, clients, ended := start(t, time.Second)
	conn := connect(t, socket)
	greet(t, conn)
	client := next(t, clients)
	client.Close()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the guest does not see the end: %v", err)
	}
	conn.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
		ended <- nil
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// TestMany opens a thousand connections, of which most are closed, and then the usual one.
func TestMany(t *testing.T) {
	socket, clients, _ := start(t, time.Minute)
	var all []*net.UnixConn
	for range 1000 {
		all = append(all, connect(t, socket))
	}
	closed := 0
	for _, conn := range all {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	// waypipe itself keeps as many that have said nothing, less one.
	if closed < 1000-maxConnections {
		t.Errorf("%d are closed", closed)
	}
	for _, conn := range all {
		conn.Close()
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		conn := connect(t, socket)
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			greet(t, conn)
			next(t, clients)
			return
		}
	}
	t.Error("there is no room again")
}
