package main

import (
	"fmt"
	"io"
	"sync"

	"vmsilo/internal/protocol"
)

// input is what the host has sent for the program and the program has not read yet: as much as the host may send.
type input struct {
	mu      sync.Mutex
	changed sync.Cond
	chunks  [][]byte
	// used is what the host has sent and has not been allowed again.
	used  int
	ended bool
}

func newInput() *input {
	in := &input{}
	in.changed.L = &in.mu
	return in
}

// add takes a Stdin frame, which becomes the input's own; one without bytes is the end.
func (in *input) add(chunk []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return nil
	}
	if in.used += len(chunk); in.used > protocol.InitialWindow {
		return fmt.Errorf("%w: %d bytes of input more than are allowed", protocol.ErrMalformed, in.used-protocol.InitialWindow)
	}
	if len(chunk) == 0 {
		in.ended = true
	} else {
		in.chunks = append(in.chunks, chunk)
	}
	in.changed.Signal()
	return nil
}

// close ends the input where it is: what waits is not wanted any more.
func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended, in.chunks = true, nil
	in.changed.Signal()
}

// next waits for what has come, or returns nil at the end.
func (in *input) next() []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.chunks) == 0 {
		if in.ended {
			return nil
		}
		in.changed.Wait()
	}
	chunk := in.chunks[0]
	in.chunks = in.chunks[1:]
	return chunk
}

// allow notes that the host may send n bytes again.
func (in *input) allow(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.used -= n
}

// windowStep is how many bytes are allowed at once: each time is a packet.
const windowStep = protocol.InitialWindow / 4

// copyTo writes the input to the program until it ends, and tells the host how much more it may send. A program that has
// closed its input reads the rest as a pipe does: it is thrown away, so that the host can go on.
func (in *input) copyTo(program io.Writer, host *protocol.Writer) error {
	read, closed := 0, false
	for chunk := in.next(); chunk != nil; chunk = in.next() {
		if !closed {
			_, err := program.Write(chunk)
			closed = err != nil
		}
		if read += len(chunk); read >= windowStep {
			in.allow(read)
			if err := host.Write(protocol.Window, protocol.WindowPayload(read)); err != nil {
				return err
			}
			read = 0
		}
	}
	return nil
}
