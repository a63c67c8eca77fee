package main

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct writes to files, and transfer reads from them, that do not block, as os.File does, but keeps Go's one processor meanwhile. With
// Syscall another thread would take it over as soon as a copy takes longer than some microseconds, and hand it back: where
// the processors are emulated that took the agent a third of its time.
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

// transfer is read(2) or write(2) of at least one byte.
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
