package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// qmpExecute controls QEMU: it opens a session, in which each line of QEMU answers one of ours, and runs one command in
// it. docs/interop/qmp-spec.rst of QEMU.
func qmpExecute(path, command string) error {
	conn, err := net.DialTimeout("unix", path, answerTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	answers := json.NewDecoder(conn)
	var greeting map[string]any
	if err := answers.Decode(&greeting); err != nil {
		return fmt.Errorf("reading QEMU's greeting: %w", err)
	}
	for _, c := range []string{"qmp_capabilities", command} {
		if err := json.NewEncoder(conn).Encode(map[string]string{"execute": c}); err != nil {
			return err
		}
		if err := qmpAnswer(answers); err != nil {
			return fmt.Errorf("asking QEMU for %s: %w", c, err)
		}
	}
	return nil
}

// qmpAnswer reads until the answer to a command; events, some of which the guest causes, come between.
func qmpAnswer(answers *json.Decoder) error {
	for {
		var answer struct {
			Return *json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := answers.Decode(&answer); err != nil {
			return err
		}
		if answer.Error != nil {
			return errors.New(answer.Error.Desc)
		}
		if answer.Return != nil {
			return nil
		}
	}
}
