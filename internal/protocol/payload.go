package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Program is what a Run frame asks for.
type Program struct {
	// Terminal is the size of the terminal that the program shall have, or nil.
	Terminal *Size
	// Directory is where the program starts: absolute or below the user's home, which it is when empty.
	Directory string
	// Args are the program and its arguments. Without any, the user's login shell is run.
	Args []string
	// Env are variables as NAME=VALUE, which come over those of the user's session.
	Env []string
}

// Size is the size of a terminal in characters; the payload of a Resize frame.
type Size struct{ Rows, Columns uint16 }

// Marshal returns the payload: the rows and then the columns.
func (s Size) Marshal() []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, s.Rows), s.Columns)
}

// ParseSize reads the payload of a Resize frame.
func ParseSize(payload []byte) Size {
	return Size{binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])}
}

// flagTerminal is the only flag there is.
const flagTerminal = 1

// programHeader is how many bytes come before the strings: flags, Size, and the numbers of Args and Env.
const programHeader = 1 + 4 + 2 + 2

// Marshal returns the payload of a Run frame. The error names what cannot be sent.
func (p Program) Marshal() ([]byte, error) {
	var size Size
	var flags byte
	if p.Terminal != nil {
		size, flags = *p.Terminal, flagTerminal
	}
	out := append([]byte{flags}, size.Marshal()...)
	for _, list := range [][]string{p.Args, p.Env} {
		if len(list) > 0xffff {
			return nil, fmt.Errorf("%d arguments or variables are too many", len(list))
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(list)))
	}
	for _, list := range [][]string{{p.Directory}, p.Args, p.Env} {
		for _, s := range list {
			if strings.IndexByte(s, 0) >= 0 {
				return nil, fmt.Errorf("%q has a NUL byte", s)
			}
			out = append(append(out, s...), 0)
		}
	}
	if len(out) > MaxProgram {
		return nil, fmt.Errorf("the arguments and variables have %d bytes, which is more than %d", len(out), MaxProgram)
	}
	return out, p.check()
}

// check finds what no program can be run with.
func (p Program) check() error {
	if len(p.Args) > 0 && p.Args[0] == "" {
		return fmt.Errorf("%w: a program without a name", ErrMalformed)
	}
	for _, variable := range p.Env {
		if name, _, found := strings.Cut(variable, "="); name == "" || !found {
			return fmt.Errorf("%w: %q is not NAME=VALUE", ErrMalformed, variable)
		}
	}
	return nil
}

// ParseProgram reads the payload of a Run frame.
func ParseProgram(payload []byte) (Program, error) {
	var p Program
	if len(payload) < programHeader {
		return p, fmt.Errorf("%w: a program of %d bytes", ErrMalformed, len(payload))
	}
	switch payload[0] {
	case 0:
	case flagTerminal:
		size := ParseSize(payload[1:])
		p.Terminal = &size
	default:
		return p, fmt.Errorf("%w: a program with flags %#02x", ErrMalformed, payload[0])
	}
	args, env := int(binary.BigEndian.Uint16(payload[5:])), int(binary.BigEndian.Uint16(payload[7:]))
	text := payload[programHeader:]
	if count := bytes.Count(text, []byte{0}); count != 1+args+env || text[len(text)-1] != 0 {
		return p, fmt.Errorf("%w: a program of %d strings, and not of %d", ErrMalformed, count, 1+args+env)
	}
	all := strings.Split(string(text[:len(text)-1]), "\x00")
	p.Directory, p.Args, p.Env = all[0], all[1:1+args], all[1+args:]
	return p, p.check()
}

// Status is how a program ended; the payload of an Ended frame.
type Status struct {
	// Code is its exit status, and Signal, where it is not 0, the signal that killed it.
	Code, Signal uint8
}

// Marshal returns the payload.
func (s Status) Marshal() []byte { return []byte{s.Code, s.Signal} }

// maxSignal is the last signal of Linux: signal(7).
const maxSignal = 64

// ParseStatus reads the payload of an Ended frame.
func ParseStatus(payload []byte) (Status, error) {
	s := Status{payload[0], payload[1]}
	if s.Signal > maxSignal || s.Signal != 0 && s.Code != 0 {
		return Status{}, fmt.Errorf("%w: a program that ended with status %d and signal %d", ErrMalformed, s.Code, s.Signal)
	}
	return s, nil
}

// ParseSignal reads the payload of a Signal frame.
func ParseSignal(payload []byte) (syscall.Signal, error) {
	if payload[0] == 0 || payload[0] > maxSignal {
		return 0, fmt.Errorf("%w: signal %d", ErrMalformed, payload[0])
	}
	return syscall.Signal(payload[0]), nil
}

// Shell returns the status that a shell gives: 128 and the signal, or the exit status.
func (s Status) Shell() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return int(s.Code)
}

// Failure is why there is no status of a program; the payload of a Failed frame.
type Failure struct {
	// Code is what the host's command ends with: NotRun, NotExecutable or NotFound.
	Code uint8
	Text string
}

// Exit statuses that shells and env(1) give.
const (
	// NotRun is for a failure that is not the program's.
	NotRun = 125
	// NotExecutable is for a program that is there and cannot be run.
	NotExecutable = 126
	// NotFound is for a program that is not there.
	NotFound = 127
)

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

// Marshal returns the payload, with as much of the text as it may have.
func (f *Failure) Marshal() []byte {
	return append([]byte{f.Code}, f.Text[:min(len(f.Text), MaxFailure-1)]...)
}

// ParseFailure reads the payload of a Failed frame. Of the text, which a terminal may come to show, only printable
// characters and lines stay.
func ParseFailure(payload []byte) *Failure {
	text := strings.Map(func(r rune) rune {
		if r == '\n' || strconv.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, string(payload[1:]))
	return &Failure{payload[0], text}
}
