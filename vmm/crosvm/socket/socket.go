// Package socket speaks with crosvm by its control socket: one JSON value a packet, the VmRequest of crosvm's vm_control crate.
package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"vmsilo/internal/dial"
)

// Name is what it is called in the folder of the VMM.
const Name = "crosvm.sock"

// Socket is its path. Its methods are those of control.VMM.
type Socket string

// PowerButton is of control.VMM.
func (c Socket) PowerButton() error { return c.last("Powerbtn") }

// Quit is of control.VMM.
func (c Socket) Quit() error { return c.last("Exit") }

// Pause is of control.VMM.
func (c Socket) Pause() error { return c.ask("SuspendVcpus") }

// Resume is of control.VMM.
func (c Socket) Resume() error { return c.ask("ResumeVcpus") }

// Balloon is of control.VMM.
func (c Socket) Balloon(size int64) error {
	err := c.ask(map[string]any{"BalloonCommand": map[string]any{
		"Adjust": map[string]any{"num_bytes": size, "wait_for_success": false},
	}})
	if errors.Is(err, syscall.ENOTCONN) {
		return errors.New("the VM has no balloon, or its guest does not use it")
	}
	return err
}

// Grow is of control.VMM. crosvm knows disks by their number alone, and would shrink one without a question.
func (c Socket) Grow(string, int64) error {
	return errors.New("crosvm cannot grow a disk safely: stop the VM, and grow its file then")
}

// last asks for what may be the last that the VMM hears: one that is ending may close instead of an answer.
func (c Socket) last(request any) error {
	_, err := c.answer(request)
	return err
}

func (c Socket) ask(request any) error {
	answer, err := c.answer(request)
	if err != nil {
		return fmt.Errorf("asking crosvm: %w", err)
	}
	var failure struct {
		Err       syscall.Errno
		ErrString string
	}
	switch {
	case string(answer) == `"Ok"`:
		return nil
	case json.Unmarshal(answer, &failure) == nil && failure.Err != 0:
		return fmt.Errorf("asking crosvm: %w", failure.Err)
	case failure.ErrString != "":
		return fmt.Errorf("asking crosvm: %s", failure.ErrString)
	}
	return fmt.Errorf("asking crosvm: it answers %q", answer)
}

// answer sends a request, and returns the VmResponse.
func (c Socket) answer(request any) ([]byte, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	conn, err := dial.Request("unixpacket", string(c))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(text); err != nil {
		return nil, err
	}
	packet := make([]byte, 4096)
	n, err := conn.Read(packet)
	return packet[:n], err
}
