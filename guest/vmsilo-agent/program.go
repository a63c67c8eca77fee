package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

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
func (p *program) run(to *protocol.Writer) protocol.Status {
	var outputs, input sync.WaitGroup
	for kind, file := range p.outputs {
		outputs.Add(1)
		go func() {
			defer outputs.Done()
			copyOutput(to, kind, file)
		}()
	}
	input.Add(1)
	go func() {
		defer input.Done()
		_ = p.input.copyTo(p.stdin, to)
		p.endInput()
	}()
	p.wait()
	if err := p.group.end(); err != nil {
		complain(err)
	}
	// What the program has written is there by now. Somebody outside of its group may hold the other end for ever.
	for _, file := range p.outputs {
		_ = file.SetReadDeadline(time.Now())
	}
	outputs.Wait()
	p.input.close()
	p.close()
	input.Wait()
	return statusOf(p.cmd)
}

// copyOutput sends an output until its end, or until it has a deadline: then what is there.
func copyOutput(to *protocol.Writer, kind protocol.Type, file *os.File) {
	// A terminal whose other side is closed has no end of file but an error: EIO.
	if err := to.Copy(kind, file, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	// With a deadline that is over Go reads nothing, whether or not there is something. No pipe holds more than this,
	// unless root has made it larger.
	data := make([]byte, protocol.MaxData)
	for range (1 << 20) / protocol.MaxData {
		n := 0
		err := control(file, func(fd int) (err error) {
			n, err = unix.Read(fd, data)
			return err
		})
		if err != nil || n <= 0 || to.Write(kind, data[:n]) != nil {
			return
		}
	}
}

// complain says what went wrong in a clean-up, which is not for the host to know.
func complain(err error) { fmt.Fprintln(os.Stderr, "vmsilo-agent: error:", err) }

// remove removes the program's control group.
func (p *program) remove() {
	if err := p.group.remove(); err != nil {
		complain(fmt.Errorf("removing a control group: %w", err))
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
		number, err := protocol.ParseSignal(payload)
		if err != nil {
			return err
		}
		p.signal(number)
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

// kill ends the program and what is in its group. The program itself may have left that, as systemd-run --scope does.
func (p *program) kill() {
	_ = p.group.kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
		_ = unix.Kill(p.cmd.Process.Pid, unix.SIGKILL)
	}
}
