package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// crosvm is the path of crosvm's control socket: one JSON value a packet, the VmRequest of crosvm's vm_control crate.
type crosvm string

// PowerButton is of VMM.
func (c crosvm) PowerButton() error { return c.last("Powerbtn") }

// Quit is of VMM.
func (c crosvm) Quit() error { return c.last("Exit") }

// Pause is of VMM.
func (c crosvm) Pause() error { return c.ask("SuspendVcpus") }

// Resume is of VMM.
func (c crosvm) Resume() error { return c.ask("ResumeVcpus") }

// Balloon is of VMM.
func (c crosvm) Balloon(size int64) error {
	err := c.ask(map[string]any{"BalloonCommand": map[string]any{
		"Adjust": map[string]any{"num_bytes": size, "wait_for_success": false},
	}})
	if errors.Is(err, syscall.ENOTCONN) {
		return errors.New("the VM has no balloon, or its guest does not use it")
	}
	return err
}

// Grow is of VMM. crosvm knows disks by their number alone, and would shrink one without a question.
func (c crosvm) Grow(string, int64) error {
	return errors.New("crosvm cannot grow a disk safely: stop the VM, and grow its file then")
}

// last asks for what may be the last that the VMM hears: one that is ending may close instead of an answer.
func (c crosvm) last(request any) error {
	_, err := c.answer(request)
	return err
}

func (c crosvm) ask(request any) error {
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
func (c crosvm) answer(request any) ([]byte, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("unixpacket", string(c), answerTime)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(text); err != nil {
		return nil, err
	}
	packet := make([]byte, 4096)
	n, err := conn.Read(packet)
	return packet[:n], err
}
