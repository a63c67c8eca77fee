package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/printable"
	"vmsilo/vmm/control"
)

// step is one way to end a VM.
type step struct {
	what string
	// send asks for the end, and need not wait for it.
	send func(deadline time.Time) error
	// until is when the next step comes, in eighths of the whole time.
	until int
	// orElse tells that the next step comes at once when send fails. A VMM that does not answer may be ending.
	orElse bool
}

// errGoesOn is the failure of a step that was taken, and that the VM has outlived.
var errGoesOn = errors.New("the VM goes on")

// stop takes steps until the process, a pidfd, has ended, and kills it after the last.
func stop(process int, steps []step, timeout time.Duration) error {
	start, ended := time.Now(), make(chan struct{})
	go func() {
		waitFor(process)
		close(ended)
	}()
	for _, s := range steps {
		deadline := start.Add(timeout / 8 * time.Duration(s.until))
		err := s.take(ended, deadline)
		if err == nil {
			return nil
		}
		// What the guest or the VMM has answered is part of it: of one line, and no more than text.
		fmt.Printf("%s: %s\n", s.what, strings.Map(printable.Rune, err.Error()))
	}
	if err := unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing the VMM: %w", err)
	}
	return fmt.Errorf("the VM had to be killed after %v", time.Since(start).Round(time.Millisecond))
}

// take takes the step, and returns nil when the VM has ended.
func (s step) take(ended <-chan struct{}, deadline time.Time) error {
	begun, over := time.Now(), time.NewTimer(time.Until(deadline))
	defer over.Stop()
	// A VMM or a guest that hangs holds up this and nothing else.
	sent := make(chan error, 1)
	go func() { sent <- s.send(deadline) }()
	var failure error
	for {
		select {
		case <-ended:
			return nil
		case failure = <-sent:
			if failure != nil && s.orElse || errors.Is(failure, control.ErrNone) {
				return failure
			}
		case <-over.C:
			waited := time.Since(begun).Round(time.Millisecond)
			if failure != nil {
				return fmt.Errorf("%w; %w after %v", failure, errGoesOn, waited)
			}
			return fmt.Errorf("%w after %v", errGoesOn, waited)
		}
	}
}

// waitFor returns when the process has ended.
func waitFor(process int) {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
