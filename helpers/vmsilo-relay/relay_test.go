package main

import (
	"bytes"
	"crypto/sha256"
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

// host is a relay that runs.
type host struct {
	t                    *testing.T
	socket, path, paused string
	done                 chan error
	patience             time.Duration
}

// newHost makes a folder with a socket as systemd does; wait returns what the relay returns.
func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	return &host{t, filepath.Join(dir, "run"), filepath.Join(dir, "host.sock"), filepath.Join(dir, "paused"), make(chan error, 1), patience}
}

// relay starts the relay on a socket of its own.
func (h *host) relay(idle time.Duration) *net.UnixListener {
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
	r := &relay{vm: "bank", device: h.path, paused: h.paused, patience: h.patience}
	go func() { h.done <- r.serve(l, idle) }()
}

// wait waits for the relay to end by itself.
func (h *host) wait() {
	h.t.Helper()
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Error(err)
		}
	case <-time.After(10 * time.Second):
		h.t.Fatal("the relay does not end")
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
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.socket, Net: "unix"})
	for errors.Is(err, unix.EAGAIN) {
		// More wait than the socket's queue has room for.
		time.Sleep(time.Millisecond)
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: h.socket, Net: "unix"})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// refused reads what the relay says in the guest's place.
func (h *host) refused(conn net.Conn) string {
	h.t.Helper()
	r := protocol.NewGuestReader(conn)
	kind, payload, err := r.Next()
	if err != nil || kind != protocol.Failed || protocol.ParseFailure(payload).Code != protocol.NotRun {
		h.t.Fatalf("frame %#x %q, %v", byte(kind), payload, err)
	}
	text := protocol.ParseFailure(payload).Text
	if _, _, err := r.Next(); err == nil || os.IsTimeout(err) {
		h.t.Errorf("not closed: %v", err)
	}
	return text
}

// closed waits for the other end to close.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
		t.Error("not closed")
	}
}

func echo(conn *net.UnixConn) { _, _ = io.Copy(conn, conn) }

// What goes in comes out, megabytes of it, on several connections, both ways at a time.
func TestCarriesBytes(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1073741824\n", func(conn *net.UnixConn) {
		_, _ = io.WriteString(conn, protocol.Greeting)
		echo(conn)
	})
	h.relay(200 * time.Millisecond)
	var all sync.WaitGroup
	for n := range 8 {
		conn := h.connect()
		all.Add(1)
		go func() {
			defer all.Done()
			defer conn.Close()
			random := rand.New(rand.NewSource(int64(n)))
			sent, got := sha256.New(), sha256.New()
			const size = 8 << 20
			written := make(chan error)
			go func() {
				_, err := io.CopyN(io.MultiWriter(conn, sent), random, size)
				written <- err
			}()
			greeting := make([]byte, len(protocol.Greeting))
			if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != protocol.Greeting {
				t.Errorf("%q, %v", greeting, err)
			}
			if _, err := io.CopyN(got, conn, size); err != nil {
				t.Error(err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
				t.Error("other bytes come out")
			}
		}()
	}
	all.Wait()
	h.wait()
}

// The last words of a guest reach a client that reads late.
func TestLastWords(t *testing.T) {
	h := newHost(t)
	words := bytes.Repeat([]byte("last words "), 5000)
	newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) { _, _ = conn.Write(words) })
	h.relay(200 * time.Millisecond)
	conn := h.connect()
	_, _ = conn.Write([]byte("what nobody reads"))
	time.Sleep(100 * time.Millisecond)
	got := make([]byte, len(words))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, words) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	closed(t, conn)
	h.wait()
}

// The last words of a guest reach a client that streams all the while, and reads late: they are more than fit on the way.
func TestLastWordsWhileTheClientStreams(t *testing.T) {
	h := newHost(t)
	words := bytes.Repeat([]byte("last words "), 30_000)
	said := make(chan error, 1)
	newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
		_, err := conn.Write(words)
		said <- err
	})
	h.relay(200 * time.Millisecond)
	conn := h.connect()
	streamed := make(chan struct{})
	go func() {
		defer close(streamed)
		_, _ = io.Copy(conn, rand.New(rand.NewSource(1)))
	}()
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	got := make([]byte, len(words))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, words) {
		t.Errorf("%d bytes of %d, %v", n, len(words), err)
	}
	closed(t, conn)
	<-streamed
	h.wait()
}

// As soon as one side ends, both do, even while the other does not read.
func TestEitherEnd(t *testing.T) {
	flood := bytes.Repeat([]byte("flood"), 1<<20)
	for name, end := range map[string]func(client *net.UnixConn){
		"closed":      func(client *net.UnixConn) { client.Close() },
		"half closed": func(client *net.UnixConn) { _ = client.CloseWrite() },
		// The device must see an end and no error, whatever is on its way.
		"while the guest writes": func(client *net.UnixConn) {
			_, _ = io.ReadFull(client, make([]byte, 1000))
			client.Close()
		},
		"while the guest does not read": func(client *net.UnixConn) {
			_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := client.Write(flood); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("5 MiB went somewhere: %v", err)
			}
			client.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			reached, ended := make(chan bool), make(chan error, 1)
			newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
				close(reached)
				if name == "while the guest does not read" {
					// What cannot be written tells of the other end's.
					for {
						if _, err := conn.Write([]byte("x")); err != nil {
							ended <- nil
							return
						}
						time.Sleep(10 * time.Millisecond)
					}
				}
				if name == "while the guest writes" {
					go func() { _, _ = conn.Write(flood) }()
				}
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			})
			h.relay(200 * time.Millisecond)
			client := h.connect()
			<-reached
			end(client)
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the guest's side ends with an error: %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the guest's side stays open")
			}
			h.wait()
		})
	}
}

// One client that never reads holds nothing but its own connection; the relay does not end while it is there.
func TestClientNeverReads(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
		go echo(conn)
		_, _ = conn.Write(bytes.Repeat([]byte("flood"), 1<<20))
	})
	h.relay(100 * time.Millisecond)
	mute := h.connect()
	for range 20 {
		conn := h.connect()
		if _, err := io.CopyN(io.Discard, conn, 5<<20); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	time.Sleep(300 * time.Millisecond)
	if !h.running() {
		t.Error("it ends with a connection open")
	}
	mute.Close()
	h.wait()
}

// Ten thousand at once: 512 are carried, and the others hear why not. No thread is held by any of them.
func TestManyConnections(t *testing.T) {
	h := newHost(t)
	newDevice(t, h.path, "OK 1\n", echo)
	h.relay(200 * time.Millisecond)
	conns := make([]*net.UnixConn, 10_000)
	var all sync.WaitGroup
	var carried, refused sync.Map
	for n := range conns {
		conns[n] = h.connect()
		all.Add(1)
		go func() {
			defer all.Done()
			// One that is refused may be closed by now.
			_, _ = conns[n].Write([]byte(protocol.Greeting))
			answer, _ := io.ReadAll(io.LimitReader(conns[n], int64(len(protocol.Greeting))))
			if string(answer) != protocol.Greeting {
				t.Errorf("%q", answer)
			}
			// One more byte comes of those that are refused, whose type that of a frame is.
			_ = conns[n].SetReadDeadline(time.Now().Add(3 * time.Second))
			if rest, _ := io.ReadAll(conns[n]); len(rest) > 0 {
				refused.Store(n, string(rest[4:]))
			} else {
				carried.Store(n, true)
			}
		}()
	}
	all.Wait()
	count := func(m *sync.Map) (n int) {
		m.Range(func(any, any) bool { n++; return true })
		return n
	}
	if count(&carried) != 512 || count(&refused) != len(conns)-512 {
		t.Errorf("%d are carried, %d refused", count(&carried), count(&refused))
	}
	refused.Range(func(_, text any) bool {
		if !strings.HasSuffix(text.(string), `512 programs are running in VM "bank" already`) {
			t.Errorf("%q", text)
		}
		return true
	})
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
	if _, err := a.Write([]byte(protocol.Greeting)); err != nil {
		t.Fatal(err)
	}
	h.serve(l, 200*time.Millisecond)
	for _, conn := range []net.Conn{a, b} {
		if text := h.refused(conn); text != `VM "bank" does not run` {
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
		h.relay(200 * time.Millisecond)
		if text := h.refused(h.connect()); !strings.HasPrefix(text, `VM "bank" cannot run it: nothing in the guest listens`) {
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
	h.relay(time.Second)
	if text := h.refused(h.connect()); text != `VM "bank" is paused` {
		t.Errorf("%q", text)
	}
	if err := os.Remove(h.paused); err != nil {
		t.Fatal(err)
	}
	conn := h.connect()
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	conn.Close()
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
	h.relay(200 * time.Millisecond)
	if text := h.refused(h.connect()); !strings.HasSuffix(text, "cannot run it: the guest has not answered for 100ms") {
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
	h.relay(200 * time.Millisecond)
	first := h.connect()
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
	if text := h.refused(h.connect()); text != `512 programs are running in VM "bank" already` {
		t.Errorf("%q", text)
	}
	close(slow)
	for _, conn := range waiting {
		says(conn)
		conn.Close()
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
	h.relay(200 * time.Millisecond)
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

// What is carried ends with the VM.
func TestVMEnds(t *testing.T) {
	h := newHost(t)
	d := newDevice(t, h.path, "OK 1\n", echo)
	h.relay(200 * time.Millisecond)
	conn, mute := h.connect(), h.connect()
	if _, err := fmt.Fprint(conn, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	d.end()
	closed(t, conn)
	closed(t, mute)
	h.wait()
}

// Asked to end, it ends, and leaves what is on its way to a client a moment.
func TestTerminated(t *testing.T) {
	h := newHost(t)
	words := bytes.Repeat([]byte("last words "), 50_000)
	newDevice(t, h.path, "OK 1\n", func(conn *net.UnixConn) {
		_, _ = conn.Write(words)
		echo(conn)
	})
	h.relay(time.Hour)
	conn := h.connect()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(words)-1)); err != nil {
		t.Error(err)
	}
	h.wait()
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
			r := &relay{vm: "work", device: filepath.Join(t.TempDir(), "none"), patience: patience}
			ended <- r.serve(listener, time.Second)
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
	if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), `VM "work" does not run`) {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
