package main

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct writes to a file that does not block, by transfer.
type direct struct{ *os.File }

// Write writes all of data, or fails.
func (d direct) Write(data []byte) (written int, err error) {
	raw, err := d.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Write(func(fd uintptr) bool {
		for err == nil && written < len(data) {
			var n int
			n, err = transfer(unix.SYS_WRITE, int(fd), data[written:])
			written += n
		}
		if errors.Is(err, unix.EAGAIN) {
			err = nil
			return false
		}
		return true
	})
	if waited != nil {
		return written, waited
	}
	return written, os.NewSyscallError("write", err)
}

// transfer is read(2) or write(2) of at least one byte, on a file that does not block. It keeps Go's one processor, which
// syscall.Syscall would have another thread take over, and hand back, as soon as a copy takes longer than some microseconds:
// where processors are emulated that took the agent a third of its time.
func transfer(call uintptr, fd int, data []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
		switch {
		case errno == 0:
			return int(n), nil
		case errno != unix.EINTR:
			return 0, errno
		}
	}
}
