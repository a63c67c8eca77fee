// Package protocol is how the host has a guest run programs: docs/protocol.md, byte by byte.
// Both ends treat what they read as hostile: every length has a limit, and what breaks the rules is an error.
package protocol

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Greeting is what each end sends first. The digit is the version.
const Greeting = "vmsilo1\n"

// Ports of vsock(7) on which a guest listens.
const (
	// ProgramPort takes a program to run on each connection.
	ProgramPort = 5000
	// ControlPort takes what the host asks of the guest as a whole.
	ControlPort = 5002
)

// Type is the type of a frame. Those of the host are below 0x80.
type Type byte

// The types of frames.
const (
	Run      Type = 0x01 // a Program; the first frame on ProgramPort
	Stdin    Type = 0x02 // input of the program; without bytes, its end
	Resize   Type = 0x03 // a Size
	Signal   Type = 0x04 // one byte: a signal of Linux, for the program
	PowerOff Type = 0x05 // nothing; on ControlPort
	Sync     Type = 0x06 // nothing; on ControlPort

	Stdout Type = 0x81 // output of the program
	Stderr Type = 0x82 // its other output
	Window Type = 0x83 // four bytes: how many more bytes of Stdin may be sent
	Ended  Type = 0x84 // a Status; the last frame
	Failed Type = 0x85 // a Failure; the last frame
	Done   Type = 0x86 // nothing; the last frame on ControlPort
)

const (
	// HeaderSize is how many bytes come before the payload of a frame.
	HeaderSize = 4
	// MaxInput is the most bytes that a frame of Stdin has.
	MaxInput = 512 << 10
	// MaxOutput is the most bytes that a frame of Stdout or Stderr has: all of the largest pipe, so that a guest's processors
	// seldom wait for each other.
	MaxOutput = 1 << 20
	// MaxProgram is the most bytes that a frame of Run has.
	MaxProgram = 1 << 20
	// MaxFailure is the most bytes that a frame of Failed has.
	MaxFailure = 4 << 10
	// InitialWindow is how many bytes of Stdin may be sent before there was any Window. No more than these are ever
	// allowed at once. It is what is on the way while a Window comes back, through three processes and a guest that may be
	// slow to wake.
	InitialWindow = 4 << 20
)

// limits are the least and the most bytes of each type of frame.
type limits map[Type][2]int

// What a Reader takes of each end.
var (
	fromHost = limits{
		Run: {0, MaxProgram}, Stdin: {0, MaxInput}, Resize: {4, 4}, Signal: {1, 1}, PowerOff: {0, 0}, Sync: {0, 0},
	}
	fromGuest = limits{
		Stdout: {0, MaxOutput}, Stderr: {0, MaxOutput}, Window: {4, 4}, Ended: {2, 2}, Failed: {1, MaxFailure}, Done: {0, 0},
	}
)

// ErrMalformed is wrapped by the error for bytes that no peer sends who keeps to the protocol.
var ErrMalformed = errors.New("malformed")

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	from    io.Reader
	limits  limits
	greeted bool
	header  [HeaderSize]byte
	payload []byte
}

// NewHostReader returns the guest's reader of what the host sends.
func NewHostReader(from io.Reader) *Reader { return &Reader{from: from, limits: fromHost} }

// NewGuestReader returns the host's reader of what a guest sends.
func NewGuestReader(from io.Reader) *Reader { return &Reader{from: from, limits: fromGuest} }

// Greet reads the greeting, which comes before all frames. Next does so, too, where nobody has.
func (r *Reader) Greet() error {
	if r.greeted {
		return nil
	}
	greeting := make([]byte, len(Greeting))
	if _, err := io.ReadFull(r.from, greeting); err != nil {
		return err
	}
	if string(greeting) != Greeting {
		return fmt.Errorf("%w: the other side greets with %q and not with %q", ErrMalformed, greeting, Greeting)
	}
	r.greeted = true
	return nil
}

// Next returns the next frame. Its payload is valid until the call after. The error is io.EOF between frames,
// io.ErrUnexpectedEOF in one, and wraps ErrMalformed for what is none.
func (r *Reader) Next() (Type, []byte, error) {
	kind, size, err := r.Header()
	if err != nil {
		return 0, nil, err
	}
	payload, err := r.Payload(size)
	return kind, payload, err
}

// Header returns the type of the next frame and how many bytes of payload follow, none of which have been read: they are
// for Payload, or for who reads them from the connection. The errors are those of Next.
func (r *Reader) Header() (Type, int, error) {
	if err := r.Greet(); err != nil {
		return 0, 0, err
	}
	if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
		return 0, 0, err
	}
	kind := Type(r.header[0])
	size := int(r.header[1])<<16 | int(r.header[2])<<8 | int(r.header[3])
	limit, known := r.limits[kind]
	if !known {
		return 0, 0, fmt.Errorf("%w: a frame of type %#02x", ErrMalformed, byte(kind))
	}
	if size < limit[0] || size > limit[1] {
		return 0, 0, fmt.Errorf("%w: a frame of type %#02x with %d bytes", ErrMalformed, byte(kind), size)
	}
	return kind, size, nil
}

// Payload returns the bytes that follow a header. They are valid until the next call.
func (r *Reader) Payload(size int) ([]byte, error) {
	if size > cap(r.payload) {
		r.payload = make([]byte, size)
	}
	r.payload = r.payload[:size]
	if _, err := io.ReadFull(r.from, r.payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return r.payload, nil
}

// Writer writes frames, each whole: several goroutines may share it.
type Writer struct {
	mu sync.Mutex
	to io.Writer
}

// NewWriter writes the greeting, and returns a Writer for what follows, also where that has failed.
func NewWriter(to io.Writer) (*Writer, error) {
	_, err := io.WriteString(to, Greeting)
	return &Writer{to: to}, err
}

// Begin writes the greeting and a first frame, all at once, and returns a Writer for what follows: each write is a packet
// of the guest's vsock.
func Begin(to io.Writer, kind Type, payload []byte) (*Writer, error) {
	first := append(make([]byte, 0, len(Greeting)+HeaderSize+len(payload)), Greeting...)
	first = append(append(first, make([]byte, HeaderSize)...), payload...)
	if err := putHeader(first[len(Greeting):], kind); err != nil {
		return nil, err
	}
	if _, err := to.Write(first); err != nil {
		return nil, err
	}
	return &Writer{to: to}, nil
}

// Write sends a frame.
func (w *Writer) Write(kind Type, payload []byte) error {
	frame := make([]byte, HeaderSize, HeaderSize+len(payload))
	return w.Send(kind, append(frame, payload...))
}

// putHeader fills in the header for which a frame has room.
func putHeader(frame []byte, kind Type) error {
	size := len(frame) - HeaderSize
	if size >= 1<<24 {
		return fmt.Errorf("a frame of %d bytes is too long", size)
	}
	frame[0], frame[1], frame[2], frame[3] = byte(kind), byte(size>>16), byte(size>>8), byte(size)
	return nil
}

// Send sends a frame whose payload is there already, after room for the header: HeaderSize bytes.
func (w *Writer) Send(kind Type, frame []byte) error {
	if err := putHeader(frame, kind); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.to.Write(frame)
	return err
}

// Copy sends what from has as frames of a type, until it ends: as much at once as credit has, where there is one.
// The error is that of from, or of the other side.
func (w *Writer) Copy(kind Type, from io.Reader, credit *Credit) error {
	frame := make([]byte, HeaderSize+MaxInput)
	for {
		most := MaxInput
		if credit != nil {
			most = credit.await(MaxInput)
		}
		n, err := from.Read(frame[HeaderSize : HeaderSize+most])
		if n > 0 {
			if credit != nil {
				credit.use(n)
			}
			if err := w.Send(kind, frame[:HeaderSize+n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
