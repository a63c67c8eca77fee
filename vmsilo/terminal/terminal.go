// Package terminal is the terminal that vmsilo was started on.
package terminal

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"vmsilo/internal/protocol"
)

// Is reports whether file is a terminal.
func Is(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// InBackground reports whether file is this process's terminal and another process group has it: who reads from it then is
// stopped, by SIGTTIN of termios(3).
func InBackground(file *os.File) bool {
	group, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}

// Size returns the size of the terminal file; what has none is a terminal of 24 lines.
func Size(file *os.File) protocol.Size {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return protocol.Size{Rows: 24, Columns: 80}
	}
	return protocol.Size{Rows: size.Row, Columns: size.Col}
}

// Raw is a terminal that hands on what is typed as it is typed. It is safe for concurrent use.
type Raw struct {
	mu   sync.Mutex
	fd   int
	was  *unix.Termios
	over bool
}

// MakeRaw makes the terminal file raw, as cfmakeraw(3) does.
func MakeRaw(file *os.File) (*Raw, error) {
	r := &Raw{fd: int(file.Fd())}
	var err error
	if r.was, err = unix.IoctlGetTermios(r.fd, unix.TCGETS); err != nil {
		return nil, os.NewSyscallError("reading the terminal's mode", err)
	}
	return r, r.Again()
}

// Again makes it raw once more: a shell that had the terminal meanwhile has its own mode. After Restore it does nothing.
func (r *Raw) Again() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil
	}
	mode := *r.was
	mode.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	mode.Oflag &^= unix.OPOST
	mode.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	mode.Cflag = mode.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return os.NewSyscallError("making the terminal raw", unix.IoctlSetTermios(r.fd, unix.TCSETS, &mode))
}

// Restore gives the terminal the mode that it had.
func (r *Raw) Restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	// A terminal that is gone needs no mode.
	_ = unix.IoctlSetTermios(r.fd, unix.TCSETS, r.was)
}

// RestoreInPanic is for a deferred call in a goroutine, whose panic ends the process. r may be nil.
func (r *Raw) RestoreInPanic() {
	if problem := recover(); problem != nil {
		if r != nil {
			r.Restore()
		}
		panic(problem)
	}
}
