package main

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"vmsilo/internal/pipes"
	"vmsilo/internal/protocol"
)

// little is as much as a pipe holds that is not enlarged.
const little = 64 << 10

// small and large are buffers for output. Only who has some holds one, or two, and large ones only who has much.
var (
	small = sync.Pool{New: func() any { return newFrame(little) }}
	large = sync.Pool{New: func() any { return newFrame(protocol.MaxOutput) }}
)

func newFrame(size int) *[]byte {
	frame := make([]byte, protocol.HeaderSize+size)
	return &frame
}

// output is what a program has written, in a buffer of a pool.
type output struct {
	pool   *sync.Pool
	buffer *[]byte
	size   int
}

// send sends it, and gives the buffer back.
func (o output) send(to *protocol.Writer, kind protocol.Type) error {
	defer o.pool.Put(o.buffer)
	return to.Send(kind, (*o.buffer)[:protocol.HeaderSize+o.size])
}

// copyOutput sends an output until its end, or until it has a deadline: then what is there. It is read by one goroutine and
// sent by another, so that the next is read while the connection has no room for the last.
func copyOutput(to *protocol.Writer, kind protocol.Type, file *os.File) {
	outputs, sent := make(chan output), make(chan struct{})
	go func() {
		defer close(sent)
		for o := range outputs {
			// Where that fails the host is gone, and the program about to be killed.
			_ = o.send(to, kind)
		}
	}()
	err := readOutput(file, outputs)
	close(outputs)
	<-sent
	if errors.Is(err, os.ErrDeadlineExceeded) {
		drain(to, kind, file)
	}
}

// readOutput reads an output until its end, or an error, which is os.ErrDeadlineExceeded when it has a deadline.
func readOutput(file *os.File, outputs chan<- output) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	for enlarged := false; ; {
		var o output
		waited := raw.Read(func(fd uintptr) bool {
			o, err = whatIsThere(int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		// A terminal whose other side is closed has no end of file but an error: EIO.
		if waited != nil || err != nil || o.size == 0 {
			return errors.Join(waited, err)
		}
		outputs <- o
		if o.size == little && !enlarged {
			enlarged = true
			pipes.Enlarge(file)
		}
	}
}

// drain sends what is there: with a deadline that is over Go reads nothing, whether or not there is something.
func drain(to *protocol.Writer, kind protocol.Type, file *os.File) {
	// No pipe holds more than this, unless root has made it larger.
	for left := pipes.Size; left > 0; {
		var o output
		err := control(file, func(fd int) (err error) {
			o, err = whatIsThere(fd)
			return err
		})
		if err != nil || o.size == 0 || o.send(to, kind) != nil {
			return
		}
		left -= o.size
	}
}

// whatIsThere reads what can be read at once. The error is EAGAIN where there is nothing yet.
func whatIsThere(fd int) (output, error) {
	pool := &small
	if there, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil && there > little {
		pool = &large
	}
	buffer := pool.Get().(*[]byte)
	n, err := transfer(unix.SYS_READ, fd, (*buffer)[protocol.HeaderSize:])
	if err != nil || n == 0 {
		pool.Put(buffer)
		return output{}, err
	}
	return output{pool, buffer, n}, nil
}
