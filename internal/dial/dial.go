// Package dial connects to Unix sockets: to those whose queue may be full, and to those of VMMs.
package dial

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Unix connects to the stream socket at path. Where more wait already than the socket's queue has room for, it waits, too,
// and holds a thread meanwhile: nothing but a connect(2) that blocks is told when there is room. The error is an
// *os.SyscallError, of EAGAIN when patience is over; no patience is any time.
func Unix(path string, patience time.Duration) (*net.UnixConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	// It would limit writes, too, of whoever gets the socket.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{}); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// answerTime is how long a VMM may take to answer a request.
const answerTime = 3 * time.Second

// Request connects to a socket at path, of the network "unix" or "unixpacket", for one request and its answer: three seconds
// later whatever is done there fails.
func Request(network, path string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, path, answerTime)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
