package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// openTerminal returns both sides of a new pseudo-terminal: pts(4).
func openTerminal(size protocol.Size) (master *os.File, slave int, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("opening a terminal: %w", err)
	}
	master = os.NewFile(uintptr(fd), "terminal")
	err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	if err == nil {
		err = resize(master, size)
	}
	if err == nil {
		slave, err = otherSide(fd)
	}
	if err != nil {
		master.Close()
		return nil, -1, fmt.Errorf("opening a terminal: %w", err)
	}
	return master, slave, nil
}

// otherSide opens the other side of a terminal: ioctl_tty(2), TIOCGPTPEER.
func otherSide(master int) (int, error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func resize(terminal *os.File, size protocol.Size) error {
	return control(terminal, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns})
	})
}

// foreground returns the process group that has the terminal.
func foreground(terminal *os.File) (group int, err error) {
	err = control(terminal, func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return group, err
}

// control calls do with a file's descriptor, which Fd would make blocking.
func control(file *os.File, do func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = do(int(fd)) }); err != nil {
		return err
	}
	return result
}
