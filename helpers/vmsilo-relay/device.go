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

// ask has the device connect conn to the guest's port for programs, before the deadline that conn has. The protocol is
// Firecracker's, "Host-Initiated Connections":
// https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
func ask(conn *net.UnixConn) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %d\n", protocol.ProgramPort); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	// Byte by byte: what follows is the guest's.
	var answer strings.Builder
	for one := make([]byte, 1); one[0] != '\n'; answer.WriteByte(one[0]) {
		if answer.Len() == maxAnswer {
			return fmt.Errorf("%w: the device answers %q", errRefused, answer.String())
		}
		if _, err := conn.Read(one); err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	if !strings.HasPrefix(answer.String(), "OK ") {
		return fmt.Errorf("%w: the device answers %q", errRefused, answer.String())
	}
	return nil
}
