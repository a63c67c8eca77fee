package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/dial"
	"vmsilo/internal/handover"
	"vmsilo/internal/protocol"
)

// device is a listener that speaks as a vsock device does, and what it does with a connection to a guest's program.
type device struct {
	*net.UnixListener
	mu    sync.Mutex
	conns []net.Conn
}

// newDevice begins to listen at path. answer is what it says to CONNECT; without one it closes.
func newDevice(t *testing.T, path, answer string, guest func(*net.UnixConn)) *device {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	d := &device{UnixListener: l}
	t.Cleanup(d.end)
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns = append(d.conns, conn)
			d.mu.Unlock()
			go func() {
				defer conn.Close()
				line := make([]byte, len("CONNECT 5000\n"))
				if _, err := io.ReadFull(conn, line); errors.Is(err, net.ErrClosed) {
					return // it has ended
				} else if err != nil || string(line) != "CONNECT 5000\n" {
					// vhost-device-vsock 0.3 would turn round and round from then on.
					t.Errorf("asked with %q: %v", line, err)
					return
				}
				if _, err := io.WriteString(conn, answer); err == nil && strings.HasPrefix(answer, "OK ") {
					guest(conn)
				}
			}()
		}
	}()
	return d
}

// end is what the end of the VM does to the device.
func (d *device) end() {
	d.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.Close()
	}
}

// host is a broker that runs.
type host struct {
	t                    *testing.T
	socket, path, paused string
	done                 chan error
	patience             time.Duration
}

// newHost makes a folder with a socket as systemd does; wait returns what the broker returns.
func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	return &host{
		t: t, socket: filepath.Join(dir, "run"), path: filepath.Join(dir, "host.sock"), paused: filepath.Join(dir, "paused"),
		done: make(chan error, 1), patience: patience,
	}
}

// broker starts the broker on a socket of its own.
func (h *host) broker(idle time.Duration) *net.UnixListener {
	h.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	h.serve(l, idle)
	return l
}

func (h *host) serve(l *net.UnixListener, idle time.Duration) {
	b := &broker{vm: "bank", device: h.path, paused: h.paused, patience: h.patience}
	go func() { h.done <- b.serve(l, idle) }()
}

// wait waits for the broker to end by itself.
func (h *host) wait() {
	h.t.Helper()
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Error(err)
		}
	case <-time.After(10 * time.Second):
		h.t.Fatal("the broker does not end")
	}
}

func (h *host) running() bool {
	select {
	case err := <-h.done:
		h.done <- err
		return false
	default:
		return true
	}
}

func (h *host) connect() *net.UnixConn {
	h.t.Helper()
	conn, err := dial.Unix(h.socket, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// reach connects, and takes the connection to the guest.
func (h *host) reach() *handover.Guest {
	h.t.Helper()
	guest, err := handover.Take(h.connect())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { guest.Close() })
	if err := guest.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return guest
}

// refused returns what the broker says in the place of a connection.
func refused(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	var failure *protocol.Failure
	if guest, err := handover.Take(conn); !errors.As(err, &failure) || failure.Code != protocol.NotRun {
		t.Fatalf("got %v, %v", guest, err)
	}
	return failure.Text
}

// closed waits for the other end to close.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
		t.Error("not closed")
	}
}

func echo(conn *net.UnixConn) { _, _ = io.Copy(conn, conn) }

// Each gets the connection of its own, over which megabytes go both ways at a time.
func TestHandsOver(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1073741824\n", func(conn *net.UnixConn) {
		// It follows the answer at once, and is the client's.
		_, _ = io.WriteString(conn, protocol.Greeting)
		echo(conn)
	})
	h.broker(200 * time.Millisecond)
	var all sync.WaitGroup
	for n := range 8 {
		conn := h.reach()
		all.Add(1)
		go func() {
			defer all.Done()
			defer conn.Close()
			data, got := make([]byte, 2<<20), make([]byte, len(protocol.Greeting)+2<<20)
			rand.New(rand.NewSource(int64(n))).Read(data)
			written := make(chan error)
			go func() {
				_, err := conn.Write(data)
				written <- err
			}()
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, append([]byte(protocol.Greeting), data...)) {
				t.Errorf("other bytes come out, %v", err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	h.wait()
}

// As soon as the client ends, the guest's side does, and without an error, whatever is on its way.
func TestClientEnds(t *testing.T) {
	flood := bytes.Repeat([]byte("flood"), 1<<20)
	for name, end := range map[string]func(*handover.Guest){
		"closed": func(client *handover.Guest) { client.Close() },
		"the guest's side is kept": func(client *handover.Guest) {
			kept, err := client.File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { kept.Close() })
			client.Close()
		},
		"while the guest writes": func(client *handover.Guest) {
			_, _ = io.ReadFull(client, make([]byte, 1000))
			client.Close()
		},
		"while the guest does not read": func(client *handover.Guest) {
			_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := client.Write(flood); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("5 MiB went somewhere: %v", err)
			}
			client.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			ended := make(chan error, 1)
			newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
				if name == "while the guest does not read" {
					time.Sleep(300 * time.Millisecond)
				}
				if name == "while the guest writes" {
					go func() { _, _ = conn.Write(flood) }()
				}
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			})
			h.broker(200 * time.Millisecond)
			end(h.reach())
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the guest's side ends with an error: %v", err)
				}
			case <-time.After(handover.Parting - 500*time.Millisecond):
				t.Error("the guest's side stays open")
			}
			h.wait()
		})
	}
}

// A guest that does not end keeps its place for a while only, also when the client has the socket block, which both have.
func TestGuestDoesNotEnd(t *testing.T) {
	h := newHost(t)
	never := make(chan bool)
	newDevice(t, h.path, "OK 1\n", func(*net.UnixConn) { <-never })
	h.broker(200 * time.Millisecond)
	client := h.reach()
	kept, err := client.File()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if err := unix.SetNonblock(int(kept.Fd()), false); err != nil {
		t.Fatal(err)
	}
	client.Close()
	h.wait()
	close(never)
}

// Whatever a client sends the host, and that it reads nothing, holds nothing but its own connection; the broker does not end
// while it is there.
func TestClientThatIsMute(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", echo)
	h.broker(100 * time.Millisecond)
	mute := h.connect()
	_ = mute.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := mute.Write(bytes.Repeat([]byte("flood"), 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("5 MiB went somewhere: %v", err)
	}
	for range 20 {
		h.reach().Close()
	}
	time.Sleep(300 * time.Millisecond)
	if !h.running() {
		t.Error("it ends with a connection open")
	}
	mute.Close()
	h.wait()
}

// Ten thousand at once: 512 are led to the guest, and the others hear why not. No thread is held by any of them.
func TestManyConnections(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", echo)
	h.broker(200 * time.Millisecond)
	conns := make([]*net.UnixConn, 10_000)
	var all sync.WaitGroup
	var led, full atomic.Int64
	for n := range conns {
		conns[n] = h.connect()
		all.Add(1)
		go func() {
			defer all.Done()
			answer := make([]byte, 100)
			n, err := conns[n].Read(answer)
			switch string(answer[:n]) {
			case "OK\n":
				led.Add(1)
			case "512 programs are running in VM \"bank\" already\n":
				full.Add(1)
			default:
				t.Errorf("%q, %v", answer[:n], err)
			}
		}()
	}
	all.Wait()
	if led.Load() != 512 || full.Load() != int64(len(conns)-512) {
		t.Errorf("%d are led to the guest, %d are not", led.Load(), full.Load())
	}
	if threads, _ := os.ReadDir("/proc/self/task"); len(threads) > 40+2*runtime.NumCPU() {
		t.Errorf("%d threads", len(threads))
	}
	for _, c := range conns {
		c.Close()
	}
	h.wait()
}

// A VM that has gone: everybody hears it.
func TestNoDevice(t *testing.T) {
	h := newHost(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, b := h.connect(), h.connect()
	if _, err := a.Write([]byte("what nobody reads")); err != nil {
		t.Fatal(err)
	}
	h.serve(l, 200*time.Millisecond)
	for _, conn := range []*net.UnixConn{a, b} {
		if text := refused(t, conn); text != `VM "bank" does not run` {
			t.Errorf("%q", text)
		}
	}
	h.wait()
}

// Devices that answer something else, too much, or nothing.
func TestNothingListens(t *testing.T) {
	for _, answer := range []string{"", "NO\n", strings.Repeat("x", 1000), "OK"} {
		h := newHost(t)
		newDevice(t, h.path, answer, nil)
		h.broker(200 * time.Millisecond)
		if text := refused(t, h.connect()); !strings.HasPrefix(text, `VM "bank" cannot run it: nothing in the guest listens`) {
			t.Errorf("%q: %q", answer, text)
		}
		h.wait()
	}
}

// The device of a VM that is paused is left alone.
func TestPaused(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", echo)
	if err := os.WriteFile(h.paused, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.broker(time.Second)
	if text := refused(t, h.connect()); text != `VM "bank" is paused` {
		t.Errorf("%q", text)
	}
	if err := os.Remove(h.paused); err != nil {
		t.Fatal(err)
	}
	h.reach().Close()
	h.wait()
}

// A guest that does not answer is not one in which nothing listens.
func TestNoAnswer(t *testing.T) {
	h := newHost(t)
	h.patience = 100 * time.Millisecond
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.broker(200 * time.Millisecond)
	if text := refused(t, h.connect()); !strings.HasSuffix(text, "cannot run it: the guest has not answered for 100ms") {
		t.Errorf("%q", text)
	}
	h.wait()
}

// A guest that is slow to answer some holds up no other, and each of these has a place: the 513th is told.
func TestSlowGuest(t *testing.T) {
	h := newHost(t)
	var asked atomic.Int64
	slow := make(chan bool)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line := make([]byte, len("CONNECT 5000\n"))
				if _, err := io.ReadFull(conn, line); err != nil {
					return
				}
				if asked.Add(1) > 1 {
					<-slow
				}
				if _, err := io.WriteString(conn, "OK 1\n"); err == nil {
					echo(conn)
				}
			}()
		}
	}()
	h.broker(200 * time.Millisecond)
	first := h.reach()
	says := func(conn net.Conn) {
		t.Helper()
		if _, err := fmt.Fprint(conn, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	says(first)
	waiting := make([]*net.UnixConn, 511)
	for n := range waiting {
		waiting[n] = h.connect()
	}
	for asked.Load() < 512 {
		time.Sleep(time.Millisecond)
	}
	says(first)
	if text := refused(t, h.connect()); text != `512 programs are running in VM "bank" already` {
		t.Errorf("%q", text)
	}
	close(slow)
	for _, conn := range waiting {
		guest, err := handover.Take(conn)
		if err != nil {
			t.Fatal(err)
		}
		says(guest)
		guest.Close()
	}
	first.Close()
	h.wait()
}

// Who hangs up before the guest has answered keeps no place from then on, and what the guest says then is taken.
func TestHangsUpBeforeTheAnswer(t *testing.T) {
	h := newHost(t)
	ended := make(chan error, 1)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := make(chan *net.UnixConn, 10)
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			taken <- conn
		}
	}()
	h.broker(200 * time.Millisecond)
	client := h.connect()
	guest := <-taken
	if _, err := io.ReadFull(guest, make([]byte, len("CONNECT 5000\n"))); err != nil {
		t.Fatal(err)
	}
	client.Close()
	// The device must not hear of it yet.
	_ = guest.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before the answer: %v", err)
	}
	_ = guest.SetReadDeadline(time.Time{})
	go func() {
		if _, err := guest.Write(append([]byte("OK 1\n"), bytes.Repeat([]byte("flood"), 1<<20)...)); err != nil {
			ended <- err
			return
		}
		_, err := io.Copy(io.Discard, guest)
		guest.Close()
		ended <- err
	}()
	if err := <-ended; err != nil {
		t.Errorf("the guest's side ends with an error: %v", err)
	}
	// Well before a guest's time to answer is over.
	h.wait()
}

// A connection ends with the VM, and its place is free when the client has heard of that.
func TestVMEnds(t *testing.T) {
	h := newHost(t)
	d := newDevice(t, h.path, "OK 1\n", echo)
	h.broker(200 * time.Millisecond)
	conn := h.reach()
	d.end()
	closed(t, conn)
	conn.Close()
	h.wait()
}

// Asked to end, it ends, and so does what it has handed over, of which the client gets what was said before.
func TestTerminated(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
		_, _ = io.Copy(io.Discard, conn)
		_, _ = io.WriteString(conn, "last words")
	})
	h.broker(time.Hour)
	conn := h.reach()
	if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.wait()
	if got, err := io.ReadAll(conn); string(got) != "last words" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Clients that give up before they are taken leave nothing behind.
func TestClientsGiveUp(t *testing.T) {
	h := newHost(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 100 {
		h.connect().Close()
	}
	newDevice(t, h.path, "OK 1\n", echo)
	h.serve(l, 200*time.Millisecond)
	h.wait()
}

// The socket stays open while nobody but the kernel knows of it any more.
func TestCollected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	listening, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		listening <- err
		if err == nil {
			b := &broker{vm: "work", device: filepath.Join(t.TempDir(), "none"), patience: patience}
			ended <- b.serve(listener, time.Second)
		}
	}()
	if err := <-listening; err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if answer, err := io.ReadAll(conn); err != nil || string(answer) != "VM \"work\" does not run\n" {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
