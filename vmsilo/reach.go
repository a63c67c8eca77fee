package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"vmsilo/internal/command"
	"vmsilo/internal/dial"
	"vmsilo/internal/handover"
	"vmsilo/internal/paths"
	"vmsilo/internal/protocol"
	"vmsilo/vmsilo/session"
)

const (
	// maxStarts is how often a VM is asked for that has gone by the time it is connected to.
	maxStarts = 3
	// maxAnswer bounds the host's answer, in bytes.
	maxAnswer = 4096
)

// demandSocket is where the host is asked for a VM.
var demandSocket = paths.Demand

// task is a program that is to run in the guest of a VM.
type task struct {
	name    string
	program protocol.Program
	// conn and session are there when the guest has been reached.
	conn    net.Conn
	session *session.Session
}

// reach has the guest begin the program, and waits until it has answered. A VM that does not run is started.
func (t *task) reach() error {
	q := queue{name: t.name}
	for starts := 0; ; {
		err := t.begin()
		if !errors.Is(err, errDown) || starts == maxStarts {
			return err
		}
		switch err := ask(t.name); {
		case err == nil:
			starts++
		case errors.Is(err, errBusy):
			// Somebody else may have had it started meanwhile.
			if err := q.wait(err); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// begin begins the program in a guest that is up. The error wraps errDown when the VM is not: then nothing has begun.
func (t *task) begin() error {
	host, err := connect(t.name, "run")
	if err != nil {
		return err
	}
	if err = t.follow(host); err == nil {
		return nil
	}
	// A VM that begins to stop takes its socket away, and drops who has connected by then, or has no way to the guest any
	// more. Were the socket there, a guest might have begun the program, which is not to be run twice.
	early := errors.As(err, new(*session.Lost)) || errors.As(err, new(*handover.Refused))
	if _, gone := os.Lstat(socketOf(t.name, "run")); early && errors.Is(gone, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return err
}

// follow takes the connection to the guest from the host, and begins the program.
func (t *task) follow(host *net.UnixConn) error {
	guest, err := handover.Take(host)
	if errors.Is(err, handover.ErrClosed) {
		return &session.Lost{Err: err}
	} else if err != nil {
		return err
	}
	if t.session, err = session.Begin(guest, t.program); err == nil {
		err = t.session.Await()
	}
	if err != nil {
		guest.Close()
		return err
	}
	t.conn = guest
	return nil
}

// errBusy is the error of a host that drops who asks.
var errBusy = errors.New("the host does not answer: too many are asking for VMs")

// ask asks the host to start a VM, and waits until it is up: docs/protocol.md, "Starting a VM".
func ask(name string) error {
	conn, err := dial.Unix(demandSocket, 0)
	if err != nil {
		return command.Errorf("as root: systemctl start vmsilo-demand.socket", "asking the host for VM %q: %w", name, err)
	}
	defer conn.Close()
	// Who is dropped may hear so when writing, or reading, or hear nothing.
	_, _ = io.WriteString(conn, name+"\n")
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	text, _, whole := strings.Cut(string(answer), "\n")
	switch {
	case whole && text == "OK":
		return nil
	case whole:
		return notStarted(name, text)
	case len(answer) > 0:
		return fmt.Errorf("asking the host for VM %q: its answer has no end", name)
	case err == nil || errors.Is(err, syscall.ECONNRESET):
		return command.Errorf("systemctl status vmsilo-demand.socket", "VM %q: %w", name, errBusy)
	}
	return fmt.Errorf("asking the host for VM %q: %w", name, err)
}

// notStarted returns the error for what the host says about a VM that it has not started, with the cause where one is found.
func notStarted(name, text string) error {
	text, hint, _ := strings.Cut(text, "; ")
	if cause := briefly(name); cause != "" {
		return fmt.Errorf("%s\n%s", text, cause)
	}
	return command.Errorf(hint, "%s", text)
}
