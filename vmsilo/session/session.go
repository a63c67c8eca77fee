// Package session runs a program in a guest: the host's side of docs/protocol.md.
//
// What comes from the guest is hostile: the program's output goes to where it was asked for as it is, all else is
// checked, and what breaks the protocol ends the session.
package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"vmsilo/internal/pipes"
	"vmsilo/internal/protocol"
)

// Session is a program that runs in a guest, or will as soon as that has answered.
type Session struct {
	conn   net.Conn
	reader *protocol.Reader
	// ready is closed when writer is there, or will never be.
	ready  chan struct{}
	writer *protocol.Writer
	credit *protocol.Credit
}

// Lost is the error of a connection that ended before the program did. Err is how, Running whether the guest had answered.
type Lost struct {
	Err     error
	Running bool
}

// Error says what was lost.
func (l *Lost) Error() string {
	if l.Running {
		return fmt.Sprintf("the connection ended while the program ran: %v", l.Err)
	}
	return fmt.Sprintf("the connection ended before the guest answered: %v", l.Err)
}

// Unwrap returns how it ended.
func (l *Lost) Unwrap() error { return l.Err }

// Output is the error of output that could not be written.
type Output struct{ Err error }

// Error says what failed.
func (o *Output) Error() string { return fmt.Sprintf("writing the output: %v", o.Err) }

// Unwrap returns why.
func (o *Output) Unwrap() error { return o.Err }

// Begin asks for a program on a connection. It does not wait: an agent may have to start, and reads nothing until then.
func Begin(conn net.Conn, program protocol.Program) (*Session, error) {
	payload, err := program.Marshal()
	if err != nil {
		return nil, err
	}
	s := &Session{
		conn:   conn,
		reader: protocol.NewGuestReader(conn),
		ready:  make(chan struct{}),
		credit: protocol.NewCredit(),
	}
	go func() {
		defer close(s.ready)
		// What fails here is seen by who reads.
		if writer, err := protocol.Begin(conn, protocol.Run, payload); err == nil {
			s.writer = writer
		}
	}()
	return s, nil
}

// Await waits until the guest has answered.
func (s *Session) Await() error {
	if err := s.reader.Greet(); err != nil {
		return lost(err, false)
	}
	return nil
}

// Send sends a frame about the program. That the connection is gone is for Wait to tell.
func (s *Session) Send(kind protocol.Type, payload []byte) {
	<-s.ready
	if s.writer != nil {
		_ = s.writer.Write(kind, payload)
	}
}

// Input sends what from has, and then the end of the input. The error is that of from, or of the connection; where there is
// one, the end is not sent: what has come by then is not all.
func (s *Session) Input(from io.Reader) error {
	<-s.ready
	if s.writer == nil {
		return nil
	}
	if file, ok := from.(*os.File); ok {
		pipes.Enlarge(file)
	}
	if err := s.writer.Copy(protocol.Stdin, from, s.credit); err != nil {
		return err
	}
	return s.writer.Write(protocol.Stdin, nil)
}

// Wait writes the program's output, until it has ended. The error is a *protocol.Failure where the guest has said why there is
// no status, an *Output, a *Lost, or wraps protocol.ErrMalformed.
func (s *Session) Wait(stdout, stderr io.Writer) (protocol.Status, error) {
	for {
		kind, payload, err := s.reader.Next()
		if err != nil {
			return protocol.Status{}, lost(err, true)
		}
		switch kind {
		case protocol.Stdout:
			err = output(stdout, payload)
		case protocol.Stderr:
			err = output(stderr, payload)
		case protocol.Window:
			err = s.credit.Add(payload)
		case protocol.Ended:
			return protocol.ParseStatus(payload)
		case protocol.Failed:
			err = protocol.ParseFailure(payload)
		default:
			err = fmt.Errorf("%w: a frame of type %#02x, which is not about a program", protocol.ErrMalformed, byte(kind))
		}
		if err != nil {
			return protocol.Status{}, err
		}
	}
}

func output(to io.Writer, data []byte) error {
	if _, err := to.Write(data); err != nil {
		return &Output{err}
	}
	return nil
}

// lost tells the end of a connection from what is malformed.
func lost(err error, running bool) error {
	if errors.Is(err, protocol.ErrMalformed) {
		return err
	}
	// The other side's end, between frames or in the midst of one, and its death are the same to people.
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		err = errors.New("it was closed")
	}
	return &Lost{err, running}
}
