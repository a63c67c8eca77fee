package main

import (
	"fmt"
	"time"

	"vmsilo/internal/protocol"
	"vmsilo/internal/vsock"
)

// askGuest has the guest power off, and returns when it has said that it will: docs/protocol.md. A guest says one frame
// and no more, and has until the deadline for that.
func askGuest(device string, deadline time.Time) error {
	conn, err := vsock.Dial(device, protocol.ControlPort, deadline)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	to, err := protocol.NewWriter(conn)
	if err != nil {
		return err
	}
	if err := to.Write(protocol.PowerOff, nil); err != nil {
		return err
	}
	switch kind, payload, err := protocol.NewGuestReader(conn).Next(); {
	case err != nil:
		return fmt.Errorf("reading its answer: %w", err)
	case kind == protocol.Failed:
		return protocol.ParseFailure(payload)
	case kind != protocol.Done:
		return fmt.Errorf("it answers with a frame of type %#02x", byte(kind))
	}
	return nil
}
