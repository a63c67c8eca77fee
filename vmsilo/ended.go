package main

import (
	"errors"
	"fmt"
	"syscall"

	"vmsilo/internal/command"
	"vmsilo/internal/protocol"
	"vmsilo/vmsilo/session"
)

// ended returns what vmsilo ends with when a program has ended, or why there is no status of it.
func ended(name string, status protocol.Status, err error) error {
	var failure *protocol.Failure
	var lost *session.Lost
	var own *command.Status
	switch {
	case err == nil && status.Shell() == 0:
		return nil
	case err == nil:
		return &command.Status{Code: status.Shell()}
	case errors.As(err, &own):
		return own
	case errors.As(err, &failure):
		return failed(name, failure)
	case errors.As(err, new(*session.Output)) && errors.Is(err, syscall.EPIPE):
		// As if it had been killed by the signal.
		return &command.Status{Code: 128 + int(syscall.SIGPIPE)}
	case errors.As(err, &lost):
		return notRun(away(name, lost))
	case errors.Is(err, protocol.ErrMalformed):
		return notRun(fmt.Errorf("the guest of VM %q does not keep to the protocol: %w", name, err))
	default:
		return notRun(err)
	}
}

// away returns the error for a connection that has ended, mostly because the VM has. Of one that goes on, what has led
// to it on the host has ended, or the agent in the guest.
func away(name string, lost *session.Lost) error {
	when := "before it answered"
	if lost.Running {
		when = "while the program ran"
	}
	if _, running := stays(name); running {
		hint := fmt.Sprintf("to see why: journalctl --unit=vmsilo-run@%s, and in the guest journalctl --unit=vmsilo-agent", name)
		return command.Errorf(hint, "the connection to VM %q, which runs, was lost %s", name, when)
	}
	return command.Errorf("to see why: vmsilo why "+name, "VM %q went away %s", name, when)
}

// failed returns the error for what the guest says, or the host in its place where there is no way to it.
func failed(name string, failure *protocol.Failure) error {
	switch failure.Code {
	case protocol.NotFound, protocol.NotExecutable:
		return &command.Status{Code: int(failure.Code), Err: failure}
	}
	if stateOf(name).Paused {
		return notRun(command.Errorf("vmsilo resume "+name, "%w", failure))
	}
	var err error = failure
	if cause := briefly(name); cause != "" {
		err = fmt.Errorf("%w\n%s", err, cause)
	}
	return notRun(err)
}
