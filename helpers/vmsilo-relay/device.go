package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"vmsilo/internal/protocol"
)

const (
	// patience is how long a guest may take to answer; an emulated one that boots other things is slow.
	patience = 30 * time.Second
	// maxAnswer is the longest answer of a device, in bytes: OK, a port and a newline.
	maxAnswer = 32
)

// errRefused is wrapped by the error for a device that is there and does not lead to a program.
var errRefused = errors.New("nothing in the guest listens for programs")

// reach connects to the guest's port for programs. The protocol is Firecracker's, "Host-Initiated Connections":
// https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
func reach(device string) (*net.UnixConn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: device, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := ask(conn, protocol.ProgramPort); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return conn, nil
}

// ask has the device connect conn to a port of the guest.
func ask(conn *net.UnixConn, port int) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
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
	return conn.SetDeadline(time.Time{})
}
