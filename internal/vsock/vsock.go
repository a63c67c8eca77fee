// Package vsock reaches a guest from the host, through the Unix socket that is the host's side of its vsock device. The
// protocol is Firecracker's, "Host-Initiated Connections":
// https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
package vsock

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"vmsilo/internal/dial"
)

// maxAnswer is the longest answer of a device, in bytes: OK, a port and a newline.
const maxAnswer = 32

// ErrRefused is wrapped by the error for a device that is there and does not lead to the port: nothing in the guest
// listens there, or the guest does not answer in time.
var ErrRefused = errors.New("nothing in the guest listens")

// Dial connects to a port of the guest, which has until the deadline to answer. device is the socket's path.
func Dial(device string, port int, deadline time.Time) (*net.UnixConn, error) {
	conn, err := dial.Unix(device, max(time.Until(deadline), time.Millisecond))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(conn.SetDeadline(deadline), Ask(conn, port), conn.SetDeadline(time.Time{})); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Ask has the device at the other end of conn connect it to a port of the guest, before the deadline that conn has. An
// error wraps ErrRefused.
func Ask(conn *net.UnixConn, port int) error {
	if err := ask(conn, port); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

func ask(conn *net.UnixConn, port int) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %d\n", port); err != nil {
		return err
	}
	// Byte by byte: what follows is the guest's.
	var answer strings.Builder
	for one := make([]byte, 1); one[0] != '\n'; answer.WriteByte(one[0]) {
		if answer.Len() == maxAnswer {
			return fmt.Errorf("the device answers %q", answer.String())
		}
		if _, err := conn.Read(one); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(answer.String(), "OK ") {
		return fmt.Errorf("the device answers %q", answer.String())
	}
	return nil
}
