package runvmm

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"vmsilo/internal/command"
)

// End is how a guest ended.
type End int

const (
	// Unsaid is a guest that has powered off, or a VMM that was told to quit, or has failed.
	Unsaid End = iota
	// Reset is a guest that reboots.
	Reset
	// Panic is a guest whose kernel has panicked.
	Panic
)

// Exit statuses that tell how a guest ended: those of crosvm run --extended-status, so that the unit has one rule.
const (
	statusReset = 32
	statusCrash = 33
	statusPanic = 34
)

// status returns what the end of the VMM's process means, with the exit status that says so.
func (v VMM) status(state *os.ProcessState, end End) error {
	status := state.Sys().(syscall.WaitStatus)
	switch {
	case end == Panic:
		return &command.Status{Code: statusPanic, Err: errors.New("the guest's kernel has panicked")}
	case end == Reset:
		return &command.Status{Code: statusReset}
	case status.Signaled() && status.Signal() != syscall.SIGTERM:
		return &command.Status{Code: statusCrash, Err: fmt.Errorf("%s was killed: %v", v.Name, status.Signal())}
	case status.ExitStatus() > 0:
		// The VMM has said why.
		return &command.Status{Code: status.ExitStatus()}
	}
	return nil
}
