package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"vmsilo/internal/command"
)

// Exit statuses that tell how a guest ended: those of crosvm run --extended-status, so that the unit has one rule.
const (
	statusReset = 32
	statusCrash = 33
	statusPanic = 34
)

// listen reads what QEMU says on a control connection of its own until it closes that, and returns why the guest has
// ended: a ShutdownCause of QEMU's qapi/run-state.json, or "" when QEMU has not said so.
func listen(qmp io.ReadWriter) (cause string) {
	// There are no events before this. An error shows in what is read.
	_, _ = io.WriteString(qmp, `{"execute": "qmp_capabilities"}`+"\n")
	lines := bufio.NewScanner(qmp)
	for lines.Scan() {
		var said struct {
			Event string
			Data  struct{ Reason string }
		}
		if json.Unmarshal(lines.Bytes(), &said) == nil && said.Event == "SHUTDOWN" {
			cause = said.Data.Reason
		}
	}
	// QEMU, which may be the guest's by now, is not held up by a line that is too long.
	_, _ = io.Copy(io.Discard, qmp)
	return cause
}

// ended returns what QEMU's end means, with the exit status that says so.
func ended(state *os.ProcessState, cause string) error {
	status := state.Sys().(syscall.WaitStatus)
	switch {
	case cause == "guest-panic":
		return &command.Status{Code: statusPanic, Err: errors.New("the guest's kernel has panicked")}
	case cause == "guest-reset":
		return &command.Status{Code: statusReset}
	case status.Signaled() && status.Signal() != syscall.SIGTERM:
		return &command.Status{Code: statusCrash, Err: fmt.Errorf("QEMU was killed: %v", status.Signal())}
	case status.ExitStatus() > 0:
		// QEMU has said why.
		return &command.Status{Code: status.ExitStatus()}
	}
	return nil
}
