package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"vmsilo/internal/command"
)

// The protocol security-context-v1 of wayland-protocols, staging/security-context.
const (
	managerInterface      = "wp_security_context_manager_v1"
	managerCreateListener = 1

	contextSetSandboxEngine = 1
	contextSetAppID         = 2
	contextSetInstanceID    = 3
	contextCommit           = 4
)

// patience is how long a compositor may take to answer.
const patience = 30 * time.Second

// sandbox says whose connections they are.
type sandbox struct{ engine, app, instance string }

// errNoContext is for a compositor that has no such protocol.
var errNoContext = errors.New("it has no " + managerInterface)

// give gives a listening socket to the compositor as a security context. The compositor accepts what connects there until
// it ends, or until the file that is returned is closed.
func (w *wire) give(socket int, s sandbox) (_ *os.File, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	registry, names, err := w.globals()
	if err != nil {
		return nil, err
	}
	name, found := names[managerInterface]
	if !found {
		return nil, errNoContext
	}
	hangUp, keep, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hangUp.Close()
	defer func() {
		if err != nil {
			keep.Close()
		}
	}()
	manager, err := w.bind(registry, name, managerInterface)
	if err != nil {
		return nil, err
	}
	id := w.newID()
	if err := w.send(appendUint(message(manager, managerCreateListener), id), socket, int(hangUp.Fd())); err != nil {
		return nil, err
	}
	for _, m := range [][]byte{
		appendText(message(id, contextSetSandboxEngine), s.engine),
		appendText(message(id, contextSetAppID), s.app),
		appendText(message(id, contextSetInstanceID), s.instance),
		message(id, contextCommit),
	} {
		if err := w.send(m); err != nil {
			return nil, err
		}
	}
	// An error of any of these comes before the answer.
	if err := w.sync(func(event) {}); err != nil {
		return nil, err
	}
	return keep, w.conn.SetDeadline(time.Time{})
}

// handOn gives the socket to the session's compositor, and after its end to the next.
func (p *proxy) handOn() error {
	return p.session.each(p.note, p.serve)
}

// serve gives the socket to one compositor, and returns when that has ended.
func (p *proxy) serve(conn *net.UnixConn, path string) error {
	w := newWire(conn)
	keep, err := w.give(p.socket, p.sandbox)
	if errors.Is(err, errNoContext) {
		p.note(command.Text(command.Errorf(`wayland = "plain" in the VM's file lets it connect as any program of the user's does`,
			"the compositor at %q has no %s: whoever connects is refused", path, managerInterface)))
		return p.refuse(w)
	} else if err != nil {
		return fmt.Errorf("giving the socket to the compositor at %q: %w", path, err)
	}
	defer keep.Close()
	p.note(fmt.Sprintf("the compositor at %q accepts connections", path))
	w.outlast()
	return nil
}

// outlast returns when the compositor has ended, or has ended the connection.
func (w *wire) outlast() {
	for {
		if _, err := w.next(); err != nil {
			return
		}
	}
}

// refuse closes what connects until the compositor ends.
func (p *proxy) refuse(w *wire) error {
	listener, err := listen(p.socket)
	if err != nil {
		return err
	}
	if err := w.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	go func() {
		w.outlast()
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		conn.Close()
	}
}
