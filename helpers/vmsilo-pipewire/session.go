package main

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
)

// session is the connection of one sound device.
type session struct {
	*gate
	device *link
	// said holds what the journal has been told, once each.
	said map[string]bool

	mu sync.Mutex
	// version is that of PipeWire's protocol, as the device has it.
	version uint32
	// server is PipeWire, or nil while it is not there.
	server *link
	// objects are the nodes that the device has there, and the other names of these.
	objects map[uint32]object
	// memory are the numbers of the shared memory that the device has from there.
	memory map[uint32]bool
}

// object is one of the device's at the server.
type object struct {
	// stream is the direction of a node's ports; an alias is another name of one, which takes nothing.
	stream direction
	alias  bool
}

func newSession(g *gate, conn *net.UnixConn) *session {
	return &session{gate: g, device: &link{conn: conn}, said: map[string]bool{}}
}

// tell says something of this device, once.
func (s *session) tell(text string) {
	if !s.said[text] && len(s.said) < 64 {
		s.said[text] = true
		s.say(text)
	}
}

// run carries messages until the device leaves.
func (s *session) run() {
	defer s.leave()
	for {
		m, err := s.device.read()
		if err == nil {
			err = s.take(m)
			m.close()
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return
		}
		if err != nil {
			s.tell("the sound device has been let go: " + err.Error())
			return
		}
	}
}

// leave ends the session.
func (s *session) leave() {
	s.device.close()
	s.device.drop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		s.server.close()
	}
}

// upstream returns PipeWire, to which it connects where it is not.
func (s *session) upstream() (*link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return s.server, nil
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.remote, Net: "unix"})
	if err != nil {
		return nil, err
	}
	server := &link{conn: conn}
	for _, m := range []message{hello(s.version), s.introduction(), coreSync()} {
		if err := server.write(m); err != nil {
			conn.Close()
			return nil, err
		}
	}
	s.server, s.objects, s.memory = server, map[uint32]object{}, map[uint32]bool{}
	delete(s.said, noPipeWire)
	go s.follow(server)
	return server, nil
}

// send passes a message on to the server, if that is there.
func (s *session) send(m message) error {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	// One that has gone is noticed where it is read from.
	_ = server.write(m)
	return nil
}

// follow carries what the server says until it goes. All before the answer to coreSync is about the connection itself, of which
// the device has been told.
func (s *session) follow(server *link) {
	defer server.close()
	ready := false
	for {
		m, err := server.read()
		if err != nil {
			break
		}
		s.note(m)
		if !ready && !m.is(core, eventAddMemory) {
			ready = m.is(core, eventDone)
			m.close()
			continue
		}
		// What is behind the struct is for clients that see the registry, which is none of this one's business.
		if p, _, err := cut(m.payload); err == nil {
			m.payload = p.append(nil)
		}
		if s.device.write(m) != nil {
			break
		}
	}
	server.drop()
	s.lose(server)
}

// lose has the device forget a server that has gone, and all that it had there: first what uses memory, and then the memory, of
// which the next server will begin to count anew.
func (s *session) lose(server *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != server {
		return
	}
	s.server = nil
	for id := range s.objects {
		_ = s.device.write(newMessage(core, eventRemoveID, intPod(id)))
	}
	// libpipewire gives the number that was free last: the lowest is to be the next.
	numbers := make([]uint32, 0, len(s.memory))
	for n := range s.memory {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	for _, n := range numbers {
		_ = s.device.write(newMessage(core, eventRemoveMemory, intPod(n)))
	}
	s.objects, s.memory = nil, nil
}

// note keeps what an event of the server changes.
func (s *session) note(m message) {
	values, err := fields(m.payload)
	if m.object != core || err != nil || len(values) == 0 {
		return
	}
	number, ok := values[0].int()
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.opcode {
	case eventRemoveID:
		delete(s.objects, number)
	case eventAddMemory:
		s.memory[number] = true
	case eventRemoveMemory:
		delete(s.memory, number)
	}
}
