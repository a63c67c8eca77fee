package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// program is one that runs.
type program struct {
	cmd   *exec.Cmd
	group *group
	streams
	input *input

	// mu keeps a signal from meeting another process that has got the number of this one.
	mu    sync.Mutex
	ended bool
}

// run carries what the program reads and writes until it has ended, ends what it has left running, and returns its
// status. When the host is gone its output is lost, and listen ends it.
func (p *program) run(to *protocol.Writer) (protocol.Status, error) {
	var copies sync.WaitGroup
	for kind, file := range p.outputs {
		copies.Add(1)
		go func() {
			defer copies.Done()
			// A terminal whose other side is closed has no end of file but an error: EIO.
			_ = to.Copy(kind, file, nil)
		}()
	}
	go func() {
		_ = p.input.copyTo(p.stdin, to)
		p.endInput()
	}()
	p.wait()
	err := p.group.end()
	// Nobody is left who could write more.
	copies.Wait()
	p.input.close()
	p.close()
	return statusOf(p.cmd), err
}

// remove removes the program's control group.
func (p *program) remove() {
	if err := p.group.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "vmsilo-agent: error: removing a control group:", err)
	}
}

// wait returns when the program has ended.
func (p *program) wait() {
	var info unix.Siginfo
	for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	// Its error is the status, which cmd keeps.
	_ = p.cmd.Wait()
}

// statusOf returns the status of a program that has ended.
func statusOf(cmd *exec.Cmd) protocol.Status {
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return protocol.Status{Signal: uint8(status.Signal())}
	}
	return protocol.Status{Code: uint8(status.ExitStatus())}
}

// listen does what the host says of the program, which may be nil, until the host is gone or says what makes no sense:
// an error that is errGone or wraps protocol.ErrMalformed.
func (p *program) listen(from *protocol.Reader) error {
	for {
		kind, payload, err := from.Next()
		if err == nil && p != nil {
			err = p.obey(kind, payload)
		}
		if errors.Is(err, protocol.ErrMalformed) {
			return err
		} else if err != nil {
			return errGone
		}
	}
}

// obey does what a frame says. The error wraps protocol.ErrMalformed.
func (p *program) obey(kind protocol.Type, payload []byte) error {
	switch kind {
	case protocol.Stdin:
		return p.input.add(bytes.Clone(payload))
	case protocol.Resize:
		if p.terminal != nil {
			_ = resize(p.terminal, protocol.ParseSize(payload))
		}
	case protocol.Signal:
		if payload[0] == 0 || payload[0] > 64 {
			return fmt.Errorf("%w: signal %d", protocol.ErrMalformed, payload[0])
		}
		p.signal(unix.Signal(payload[0]))
	default:
		return fmt.Errorf("%w: a frame of type %#02x while a program runs", protocol.ErrMalformed, byte(kind))
	}
	return nil
}

// signal sends a signal to the program's process group, or to that in the foreground of its terminal.
func (p *program) signal(number unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	to := p.cmd.Process.Pid
	if p.terminal != nil {
		if group, err := foreground(p.terminal); err == nil && group > 0 {
			to = group
		}
	}
	_ = unix.Kill(-to, number)
}
