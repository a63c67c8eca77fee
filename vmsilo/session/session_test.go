package session

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"vmsilo/internal/protocol"
)

// says is a connection to a guest that says what it holds, and hears nothing.
type says struct {
	net.Conn
	io.Reader
}

func (s says) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s says) Write(b []byte) (int, error) { return len(b), nil }

// Whatever a guest says, the session comes to an end, and no more is written than was sent as output.
func FuzzGuest(f *testing.F) {
	f.Add([]byte(protocol.Greeting + "\x81\x00\x00\x02hi\x82\x00\x00\x01e\x84\x00\x00\x02\x03\x00"))
	f.Add([]byte(protocol.Greeting + "\x83\x00\x00\x04\x00\x10\x00\x00"))
	f.Add([]byte(protocol.Greeting + "\x85\x00\x00\x03\x7f\x1b\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		s, err := Begin(says{Reader: bytes.NewReader(said)}, protocol.Program{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Await(); err != nil {
			return
		}
		var out bytes.Buffer
		status, err := s.Wait(&out, &out)
		if err == nil && !bytes.Contains(said, append([]byte{byte(protocol.Ended), 0, 0, 2}, status.Marshal()...)) {
			t.Errorf("got %+v, which was not said", status)
		}
		if out.Len() > len(said) {
			t.Errorf("%d bytes make %d", len(said), out.Len())
		}
		if err != nil && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("the error has what a terminal acts on: %q", err)
		}
	})
}

// A program that is asked for before anybody reads does not hold up who waits for the answer.
func TestBeginDoesNotWait(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	s, err := Begin(here, protocol.Program{Args: []string{strings.Repeat("x", 1<<19)}})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- s.Await() }()
	if _, err := io.WriteString(there, protocol.Greeting); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the answer is not seen")
	}
}
