package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// world is a gate with a device on one side and a server on the other, which take and send messages.
type world struct {
	t      *testing.T
	device *link
	server chan *link
	remote string

	mu   sync.Mutex
	said []string
}

func newWorld(t *testing.T, directions ...string) *world {
	t.Helper()
	folder := t.TempDir()
	w := &world{t: t, server: make(chan *link, 4), remote: filepath.Join(folder, "pipewire-0")}
	g := gate{vm: "bank", remote: w.remote, say: func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.said = append(w.said, text)
	}}
	for _, d := range directions {
		if err := g.allow(d); err != nil {
			t.Fatal(err)
		}
	}
	socket := w.listen(filepath.Join(folder, "gate"))
	go func() { _ = g.serve(socket) }()
	conn, err := net.DialUnix("unix", nil, socket.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	w.device = w.link(conn)
	return w
}

func (w *world) listen(path string) *net.UnixListener {
	w.t.Helper()
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { socket.Close() })
	return socket
}

// link returns one whose reads and writes end with the test.
func (w *world) link(conn *net.UnixConn) *link {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	w.t.Cleanup(func() { conn.Close() })
	return &link{conn: conn}
}

// begin has a server listen, and returns what ends it.
func (w *world) begin() (end func()) {
	w.t.Helper()
	_ = os.Remove(w.remote)
	socket := w.listen(w.remote)
	go func() {
		for {
			conn, err := socket.AcceptUnix()
			if err != nil {
				return
			}
			w.server <- w.link(conn)
		}
	}()
	return func() { socket.Close() }
}

// take reads a message, which has to be this one.
func (w *world) take(from *link, want message) message {
	w.t.Helper()
	got, err := from.read()
	if err != nil {
		w.t.Fatal(err)
	}
	if got.object != want.object || got.opcode != want.opcode || string(got.payload) != string(want.payload) {
		w.t.Fatalf("got %d.%d %q, want %d.%d %q", got.object, got.opcode, got.payload, want.object, want.opcode, want.payload)
	}
	return got
}

func (w *world) give(to *link, m message) {
	w.t.Helper()
	if err := to.write(m); err != nil {
		w.t.Fatal(err)
	}
}

// greet does what libpipewire does first.
func (w *world) greet() {
	w.t.Helper()
	w.give(w.device, hello(4))
	w.give(w.device, newMessage(client, methodUpdateProperties, structPod(dict([][2]string{{"media.category", "Manager"}})...)))
	w.give(w.device, newMessage(core, methodSync, intPod(0), intPod(7)))
	w.take(w.device, newMessage(core, eventDone, intPod(0), intPod(7)))
}

// meet returns the server's side once it has been told of the client, and has answered.
func (w *world) meet() *link {
	w.t.Helper()
	server := <-w.server
	w.take(server, hello(4))
	w.take(server, newMessage(client, methodUpdateProperties, structPod(dict([][2]string{{"application.name", "VM bank"}})...)))
	w.take(server, coreSync())
	// About the connection, and none of the device's business.
	w.give(server, newMessage(core, 0, intPod(99)))
	w.give(server, newMessage(core, eventDone, intPod(0), intPod(0)))
	return server
}

func create(id uint32, factory string, properties ...[2]string) message {
	return newMessage(core, methodCreate, textPod(factory), textPod("PipeWire:Interface:ClientNode"), intPod(4),
		structPod(dict(properties)...), intPod(id))
}

func class(name string) [2]string { return [2]string{"media.class", name} }

// made is what the server is asked for in the place of a stream that plays.
func made(id uint32, more ...[2]string) message {
	return create(id, "client-node", append(more,
		[2]string{"media.category", "Playback"}, class("Stream/Output/Audio"), [2]string{"media.name", "VM bank"},
		[2]string{"node.name", "vmsilo-bank"}, [2]string{"node.description", "VM bank"}, [2]string{"application.name", "VM bank"})...)
}

// port describes a port of a node.
func port(node uint32, way direction, properties ...[2]string) message {
	info := []pod{{kindLong, make([]byte, 8)}, {kindLong, make([]byte, 8)}, intPod(0), intPod(1)}
	info = slices.Concat(info, dict(properties), []pod{intPod(0)})
	return newMessage(node, methodPortUpdate, intPod(uint32(way)), intPod(0), intPod(3), intPod(1), textPod("a format"), structPod(info...))
}

func TestPlayback(t *testing.T) {
	w := newWorld(t, "playback", "")
	w.greet()
	defer w.begin()()
	w.give(w.device, create(3, "client-node", class("Stream/Output/Audio"), [2]string{"node.latency", "512/48000"},
		[2]string{"target.object", "camera"}, [2]string{"node.name", "Firefox"}))
	server := w.meet()
	w.take(server, made(3, [2]string{"node.latency", "512/48000"}))
	w.give(w.device, newMessage(3, methodGetNode, intPod(3), intPod(4)))
	w.take(server, newMessage(3, methodGetNode, intPod(3), intPod(4)))
	w.give(w.device, port(3, output, [2]string{"port.name", "output_0"}, [2]string{"port.monitor", "true"}))
	w.take(server, port(3, output, [2]string{"port.name", "output_0"}))
	// Memory comes back, with its file, and without what is behind the struct.
	file, err := unix.MemfdCreate("m", 0)
	if err != nil {
		t.Fatal(err)
	}
	memory := newMessage(core, eventAddMemory, intPod(0), intPod(2), intPod(0), intPod(3))
	memory.files = []int{file}
	memory.payload = structPod().append(memory.payload)
	w.give(server, memory)
	got := w.take(w.device, newMessage(core, eventAddMemory, intPod(0), intPod(2), intPod(0), intPod(3)))
	if len(got.files) != 1 {
		t.Fatalf("%d files", len(got.files))
	}
	got.close()
	w.give(w.device, newMessage(core, methodDestroy, intPod(3)))
	w.take(server, newMessage(core, methodDestroy, intPod(3)))
}

func TestCapture(t *testing.T) {
	w := newWorld(t, "capture")
	w.greet()
	defer w.begin()()
	w.give(w.device, create(3, "client-node", class("Stream/Input/Audio"), [2]string{"stream.capture.sink", "true"}))
	server := w.meet()
	w.take(server, create(3, "client-node", [2]string{"media.category", "Capture"}, class("Stream/Input/Audio"), [2]string{"media.name", "VM bank"},
		[2]string{"node.name", "vmsilo-bank"}, [2]string{"node.description", "VM bank"}, [2]string{"application.name", "VM bank"}))
	w.give(w.device, port(3, output))
	w.give(w.device, port(3, input))
	w.take(server, port(3, input))
}

// Each of these reaches the server as nothing; what comes after it does.
func TestDenied(t *testing.T) {
	withFile := newMessage(3, methodSetActive, intPod(1))
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(null.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	null.Close()
	withFile.files = []int{fd}
	for name, m := range map[string]message{
		"the registry":           newMessage(core, 5, intPod(3), intPod(9)),
		"permissions":            newMessage(client, 4, intPod(0)),
		"a port that records":    port(3, input),
		"buffers":                newMessage(3, 6, intPod(0)),
		"a method of an alias":   newMessage(4, 4, intPod(0)),
		"a number that is none":  newMessage(77, 1, intPod(0)),
		"a file":                 withFile,
		"a number that is taken": create(4, "client-node", class("Stream/Output/Audio")),
		"the core's number":      create(0, "client-node", class("Stream/Output/Audio")),
		"someone else's removal": newMessage(core, methodDestroy, intPod(40)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "playback")
			w.greet()
			defer w.begin()()
			w.give(w.device, create(3, "client-node", class("Stream/Output/Audio")))
			server := w.meet()
			w.take(server, made(3))
			w.give(w.device, newMessage(3, methodGetNode, intPod(3), intPod(4)))
			w.take(server, newMessage(3, methodGetNode, intPod(3), intPod(4)))
			w.give(w.device, m)
			w.give(w.device, newMessage(core, methodSync, intPod(0), intPod(8)))
			w.take(server, newMessage(core, methodSync, intPod(0), intPod(8)))
		})
	}
}

// What may not be made is refused in the way of PipeWire, which then is not even called.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		allowed string
		asked   message
		why     string
	}{
		{"playback", create(3, "client-node", class("Stream/Input/Audio")), "sound.capture"},
		{"capture", create(3, "client-node", class("Stream/Output/Audio")), "sound.playback"},
		{"", create(3, "client-node", class("Stream/Output/Audio")), "sound.playback"},
		{"playback", create(3, "client-node", class("Audio/Source")), `"Audio/Source"`},
		{"playback", create(3, "client-node"), `class ""`},
		{"playback", create(3, "client-node", class("Stream/Output/Audio"), class("Stream/Input/Audio")), "sound.capture"},
		{"playback", create(3, "link-factory", class("Stream/Output/Audio")), `"link-factory"`},
	} {
		w := newWorld(t, c.allowed)
		w.greet()
		end := w.begin()
		w.give(w.device, c.asked)
		if m, err := w.device.read(); err != nil || !m.is(core, eventError) {
			t.Fatalf("%s: %v %v", c.why, m, err)
		}
		w.take(w.device, newMessage(core, eventRemoveID, intPod(3)))
		select {
		case <-w.server:
			t.Errorf("%s: PipeWire is called", c.why)
		default:
		}
		w.mu.Lock()
		if len(w.said) != 1 || !strings.Contains(w.said[0], c.why) {
			t.Errorf("want %q, said %q", c.why, w.said)
		}
		w.mu.Unlock()
		end()
	}
}

// PipeWire comes after the device, goes, and comes back.
func TestComesAndGoes(t *testing.T) {
	w := newWorld(t, "playback")
	w.greet()
	play := create(3, "client-node", class("Stream/Output/Audio"))
	w.give(w.device, play)
	if m, err := w.device.read(); err != nil || !m.is(core, eventError) {
		t.Fatal(m, err)
	}
	w.take(w.device, newMessage(core, eventRemoveID, intPod(3)))
	for range 2 {
		end := w.begin()
		w.give(w.device, play)
		server := w.meet()
		w.take(server, made(3))
		for n := range uint32(3) {
			memory := newMessage(core, eventAddMemory, intPod(n))
			w.give(server, memory)
			w.take(w.device, memory)
		}
		w.give(server, newMessage(core, eventRemoveMemory, intPod(1)))
		w.take(w.device, newMessage(core, eventRemoveMemory, intPod(1)))
		end()
		server.conn.Close()
		// First what uses memory, and then that, from above.
		w.take(w.device, newMessage(core, eventRemoveID, intPod(3)))
		w.take(w.device, newMessage(core, eventRemoveMemory, intPod(2)))
		w.take(w.device, newMessage(core, eventRemoveMemory, intPod(0)))
		// Without a server it is answered here.
		w.give(w.device, newMessage(core, methodSync, intPod(0), intPod(9)))
		w.take(w.device, newMessage(core, eventDone, intPod(0), intPod(9)))
	}
}

// What is no message of PipeWire's ends the connection, and not more.
func TestNonsense(t *testing.T) {
	for name, data := range map[string]string{
		"a header that says too much": "\x00\x00\x00\x00\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"too many files":              "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff",
		"files that are not there":    "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00",
		"no struct":                   "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"a struct that is cut":        "\x00\x00\x00\x00\x08\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00\x0e\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "playback")
			w.greet()
			if _, err := w.device.conn.Write([]byte(data)); err != nil {
				t.Fatal(err)
			}
			if m, err := w.device.read(); err == nil {
				t.Errorf("answered: %v", m)
			}
		})
	}
}

// FuzzTake looks for a payload that ends the process, or that is passed on as something else than a stream's.
func FuzzTake(f *testing.F) {
	for _, m := range []message{create(3, "client-node", class("Stream/Output/Audio")), port(3, output), hello(4), coreSync()} {
		f.Add(m.object, m.opcode, m.payload)
	}
	f.Fuzz(func(t *testing.T, to uint32, opcode uint8, payload []byte) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[0])
		file := os.NewFile(uintptr(fds[1]), "device")
		defer file.Close()
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		g := &gate{vm: "bank", remote: filepath.Join(t.TempDir(), "none"), playback: true, say: func(string) {}}
		s := newSession(g, conn.(*net.UnixConn))
		s.objects = map[uint32]object{3: {stream: output}}
		_ = s.take(message{object: to, opcode: opcode, payload: payload})
	})
}
