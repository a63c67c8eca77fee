// Package rights passes an open file from one process to another, over a Unix socket: SCM_RIGHTS of unix(7).
package rights

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Send sends data with a file, which stays the caller's to close. Both arrive together.
func Send(to *net.UnixConn, data []byte, file syscall.Conn) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { _, _, err = to.WriteMsgUnix(data, unix.UnixRights(int(fd)), nil) })
	if failed != nil {
		return failed
	}
	return err
}

// Receive reads into data, and returns how many bytes that were, and the file that came with them, which no program that is
// started has by itself, or nil. The error is io.EOF where the other side has closed; several files are one, too.
func Receive(from *net.UnixConn, data []byte) (int, *os.File, error) {
	control := make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := from.ReadMsgUnix(data, control)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil || size == 0 {
		return n, nil, err
	}
	fds, err := received(control[:size])
	if err != nil || len(fds) != 1 {
		// Padding leaves room for a second.
		for _, fd := range fds {
			unix.Close(fd)
		}
		return n, nil, errors.Join(errors.New("what came is not one file"), err)
	}
	return n, os.NewFile(uintptr(fds[0]), "received"), nil
}

func received(control []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		return nil, err
	}
	return unix.ParseUnixRights(&messages[0])
}
