package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/pipes"
	"vmsilo/internal/protocol"
)

// input is what the host has sent for the program and the program has not read yet: as much as the host may send.
//
// While nothing waits here, what comes is moved from the connection into the program's pipe by the kernel. What the pipe
// has no room for waits, so that the frames behind it are seen.
type input struct {
	// pipe is the program's input where it is a pipe, and nil where it is a terminal.
	pipe *os.File

	mu      sync.Mutex
	changed sync.Cond
	chunks  [][]byte
	// writing tells that a chunk is on its way to the program.
	writing bool
	// used is what the host has sent and has not been allowed again; read is how much of that the program has.
	used, read int
	// closed tells that the program has closed its input. The rest is thrown away, so that the host can go on.
	ended, closed bool
	// last is the last byte that was written to the program, and not moved there.
	last byte
	// enlarged tells that the pipe is for much, where it may be.
	enlarged bool
}

func newInput(pipe *os.File) *input {
	in := &input{pipe: pipe}
	in.changed.L = &in.mu
	return in
}

// receive takes the payload of a Stdin frame from the host; one without bytes is the end. The error is that of the
// connection, or wraps protocol.ErrMalformed.
func (in *input) receive(conn *os.File, from *protocol.Reader, size int) error {
	straight, wanted, err := in.expect(size)
	if err != nil || size == 0 {
		return err
	}
	moved := 0
	if straight {
		if moved, err = in.move(conn, size); err != nil {
			return err
		}
	}
	if moved == size {
		return nil
	}
	rest, err := from.Payload(size - moved)
	if err != nil || !wanted {
		return err
	}
	in.add(rest)
	return nil
}

// expect counts a frame that is about to be read. It tells whether its bytes may go straight to the program, and whether
// anybody wants them.
func (in *input) expect(size int) (straight, wanted bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return false, false, nil
	}
	if in.used += size; in.used > protocol.InitialWindow {
		return false, false, fmt.Errorf("%w: %d bytes of input more than are allowed", protocol.ErrMalformed, in.used-protocol.InitialWindow)
	}
	if size == 0 {
		in.ended = true
		in.changed.Signal()
	}
	return in.pipe != nil && len(in.chunks) == 0 && !in.writing && !in.closed, true, nil
}

// move has the kernel move bytes to the program until there are so many, or its pipe is full.
func (in *input) move(conn *os.File, size int) (moved int, err error) {
	s := splicer{conn: conn, pipe: in.pipe, lowest: 1}
	if size >= bulk && !in.enlarged {
		in.enlarged = true
		pipes.Enlarge(in.pipe)
	}
	for moved < size && err == nil {
		var n int
		n, err = s.splice(size - moved)
		moved += n
	}
	s.wakeAt(1)
	_ = in.pipe.SetWriteDeadline(time.Time{})
	in.mu.Lock()
	defer in.mu.Unlock()
	in.took(moved)
	switch {
	case errors.Is(err, errFull):
		return moved, nil
	case in.ended || errors.Is(err, unix.EPIPE):
		// The program has ended, or closes its input. Were it the connection that has, the rest would tell.
		in.closed = true
		return moved, nil
	}
	return moved, err
}

// add takes a copy of bytes that the pipe had no room for. Few of them are put to those before: a chunk for each byte would
// be many times what the host may send.
func (in *input) add(data []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return
	}
	last := len(in.chunks) - 1
	if last >= 0 && len(in.chunks[last])+len(data) <= little {
		in.chunks[last] = append(in.chunks[last], data...)
	} else {
		in.chunks = append(in.chunks, bytes.Clone(data))
	}
	in.changed.Signal()
}

// close ends the input where it is: what waits is not wanted any more.
func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended, in.chunks = true, nil
	in.changed.Signal()
}

// windowStep is how many bytes are allowed at once: each time is a packet.
const windowStep = protocol.InitialWindow / 4

// took counts bytes that the program has. The lock is held.
func (in *input) took(n int) {
	if in.read += n; in.read >= windowStep {
		in.changed.Signal()
	}
}

// next waits for what there is to do: to allow the host more bytes, or to write a chunk. At the end there is neither.
func (in *input) next() (allow int, chunk []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		switch {
		case in.read >= windowStep:
			allow, in.read = in.read, 0
			in.used -= allow
			return allow, nil
		case len(in.chunks) > 0:
			chunk, in.chunks, in.writing = in.chunks[0], in.chunks[1:], true
			return 0, chunk
		case in.ended:
			return 0, nil
		}
		in.changed.Wait()
	}
}

// write writes a chunk to the program.
func (in *input) write(program io.Writer, chunk []byte) {
	var err error
	if !in.closed {
		_, err = program.Write(chunk)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.writing, in.last = false, chunk[len(chunk)-1]
	in.closed = in.closed || err != nil
	in.took(len(chunk))
}

// inLine reports whether what a terminal has got ends within a line. It is for who has called copyTo.
func (in *input) inLine() bool {
	return in.last != 0 && !strings.ContainsRune("\n\r"+endOfTransmission, rune(in.last))
}

// copyTo writes what waits to the program until the input ends, and tells the host how much more it may send.
func (in *input) copyTo(program io.Writer, host *protocol.Writer) error {
	for {
		allow, chunk := in.next()
		switch {
		case allow > 0:
			if err := host.Write(protocol.Window, protocol.WindowPayload(allow)); err != nil {
				return err
			}
		case chunk != nil:
			in.write(program, chunk)
		default:
			return nil
		}
	}
}
