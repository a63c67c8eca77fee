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

// small and large are buffers for output. Only who has some holds one, and a large one only who has much.
var (
	small = sync.Pool{New: func() any { return newFrame(little) }}
	large = sync.Pool{New: func() any { return newFrame(protocol.MaxData) }}
)

func newFrame(size int) *[]byte {
	frame := make([]byte, protocol.HeaderSize+size)
	return &frame
}

// copyOutput sends an output until its end, or until it has a deadline: then what is there.
func copyOutput(to *protocol.Writer, kind protocol.Type, file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	for enlarged := false; ; {
		n, err := 0, error(nil)
		waited := raw.Read(func(fd uintptr) bool {
			n, err = sendWhatIsThere(to, kind, int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		if errors.Is(waited, os.ErrDeadlineExceeded) {
			drain(to, kind, file)
			return
		}
		// A terminal whose other side is closed has no end of file but an error: EIO.
		if waited != nil || err != nil || n == 0 {
			return
		}
		if n == little && !enlarged {
			enlarged = true
			pipes.Enlarge(file)
		}
	}
}

// drain sends what is there: with a deadline that is over Go reads nothing, whether or not there is something.
func drain(to *protocol.Writer, kind protocol.Type, file *os.File) {
	// No pipe holds more than this, unless root has made it larger.
	for left := pipes.Size; left > 0; {
		n := 0
		err := control(file, func(fd int) (err error) {
			n, err = sendWhatIsThere(to, kind, fd)
			return err
		})
		if err != nil || n == 0 {
			return
		}
		left -= n
	}
}

// sendWhatIsThere sends what can be read at once, and returns how much that was. The error is EAGAIN where there is
// nothing yet.
func sendWhatIsThere(to *protocol.Writer, kind protocol.Type, fd int) (int, error) {
	pool := &small
	if there, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil && there > little {
		pool = &large
	}
	frame := pool.Get().(*[]byte)
	defer pool.Put(frame)
	n, err := transfer(unix.SYS_READ, fd, (*frame)[protocol.HeaderSize:])
	if err != nil || n == 0 {
		return 0, err
	}
	return n, to.Send(kind, (*frame)[:protocol.HeaderSize+n])
}
