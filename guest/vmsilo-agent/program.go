package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// program is one that runs.
type program struct {
	pid int
	// process is a pidfd.
	process *os.File
	group   *group
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
		p.endInput(p.input.inLine())
	}()
	status := p.wait()
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
	return status
}

// complain says what went wrong in a clean-up, which is not for the host to know.
func complain(err error) { fmt.Fprintln(os.Stderr, "vmsilo-agent: error:", err) }

// wait returns the status of the program when it has ended.
func (p *program) wait() protocol.Status {
	defer p.process.Close()
	if raw, err := p.process.SyscallConn(); err == nil {
		_ = raw.Read(func(fd uintptr) bool {
			var info unix.Siginfo
			err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
			return err != nil && !errors.Is(err, unix.EINTR) || info.Signo != 0
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(p.pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if status.Signaled() {
		return protocol.Status{Signal: uint8(status.Signal())}
	}
	return protocol.Status{Code: uint8(status.ExitStatus())}
}

// listen does what the host says of the program, which may be nil, until the host is gone or says what makes no sense:
// an error that is errGone or wraps protocol.ErrMalformed.
func (p *program) listen(conn *os.File, from *protocol.Reader) error {
	for {
		kind, size, err := from.Header()
		switch {
		case err != nil:
		case p != nil && kind == protocol.Stdin:
			err = p.input.receive(conn, from, size)
		default:
			var payload []byte
			if payload, err = from.Payload(size); err == nil && p != nil {
				err = p.obey(kind, payload)
			}
		}
		if errors.Is(err, protocol.ErrMalformed) {
			return err
		} else if err != nil {
			return errGone
		}
	}
}

// obey does what a frame says that is not input. The error wraps protocol.ErrMalformed.
func (p *program) obey(kind protocol.Type, payload []byte) error {
	switch kind {
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
	to := p.pid
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
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		_ = unix.Kill(p.pid, unix.SIGKILL)
	}
}
