package main

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/pipes"
	"vmsilo/internal/protocol"
)

// little is as much as a pipe holds that is not enlarged.
const little = 64 << 10

// small and large are buffers for output. Only who has some holds one, and a large one only who has had much.
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

// copyOutput sends an output until its end, or until it has a deadline: then what is there. Whoever has written much gets a
// large pipe, so that it goes on while that is sent.
func copyOutput(to *protocol.Writer, kind protocol.Type, file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	pool := &small
	for {
		var o output
		waited := raw.Read(func(fd uintptr) bool {
			o, err = whatIsThere(int(fd), pool)
			return !errors.Is(err, unix.EAGAIN)
		})
		if errors.Is(waited, os.ErrDeadlineExceeded) {
			drain(to, kind, raw)
		}
		// A terminal whose other side is closed has no end of file but an error: EIO.
		if waited != nil || err != nil || o.size == 0 {
			return
		}
		// Where that fails the host is gone, and the program about to be killed.
		_ = o.send(to, kind)
		if o.size == little && pool == &small {
			pool = &large
			pipes.Enlarge(file)
		}
	}
}

// drain sends what is there: with a deadline that is over Go reads nothing, whether or not there is something.
func drain(to *protocol.Writer, kind protocol.Type, raw syscall.RawConn) {
	// No pipe holds more than this, unless root has made it larger.
	for left := pipes.Size; left > 0; {
		var o output
		var err error
		closed := raw.Control(func(fd uintptr) { o, err = whatIsThere(int(fd), &small) })
		if closed != nil || err != nil || o.size == 0 || o.send(to, kind) != nil {
			return
		}
		left -= o.size
	}
}

// whatIsThere reads what can be read at once. The error is EAGAIN where there is nothing yet.
func whatIsThere(fd int, pool *sync.Pool) (output, error) {
	buffer := pool.Get().(*[]byte)
	n, err := transfer(unix.SYS_READ, fd, (*buffer)[protocol.HeaderSize:])
	if err != nil || n == 0 {
		pool.Put(buffer)
		return output{}, err
	}
	return output{pool, buffer, n}, nil
}
