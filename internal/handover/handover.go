// Package handover hands the connection to a guest over to who has asked the host for it: docs/protocol.md, "Connections".
// So no process of the host is between the two.
package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
	"vmsilo/internal/rights"
)

const (
	// given is what comes with a connection.
	given = "OK\n"
	// maxAnswer is the most bytes that the host answers, with the newline.
	maxAnswer = 1001
)

// ErrClosed is the error for a host that closes without an answer.
var ErrClosed = errors.New("it was closed")

// Parting is how long the last words of a guest may take whose connection has ended at the host's side.
const Parting = 3 * time.Second

// Refused is what the host says in the place of a connection. Nothing has reached the guest.
type Refused struct{ *protocol.Failure }

// Unwrap returns it as what a guest says that runs no program.
func (r *Refused) Unwrap() error { return r.Failure }

// Give hands a connection to a guest over, and stays its owner, too.
func Give(to, guest *net.UnixConn) error { return rights.Send(to, []byte(given), guest) }

// Refuse tells why there is no connection, in one line. It does not wait: the buffer of who has just connected has room.
func Refuse(to *net.UnixConn, reason error) error {
	text := bytes.ReplaceAll([]byte(reason.Error()), []byte("\n"), []byte(" "))
	_, err := to.Write(append(text[:min(len(text), maxAnswer-1)], '\n'))
	return err
}

// Guest is a connection to a guest. It ends with the one to the host, and that with it. Its deadlines count until it is read
// from.
type Guest struct {
	*net.UnixConn
	host *net.UnixConn
	// waits makes the socket one that blocks, once.
	waits sync.Once
}

// Take waits for the host's answer to a connection, which is the Guest's to close, or is closed when there is none. The error
// is ErrClosed, or a *Refused.
func Take(host *net.UnixConn) (*Guest, error) {
	guest, err := take(host)
	if err != nil {
		host.Close()
		return nil, err
	}
	g := &Guest{UnixConn: guest, host: host}
	go g.follow()
	return g, nil
}

func take(host *net.UnixConn) (*net.UnixConn, error) {
	answer := make([]byte, maxAnswer)
	n, file, err := rights.Receive(host, answer)
	if file != nil {
		defer file.Close()
	}
	answer = answer[:n]
	text, whole := bytes.CutSuffix(answer, []byte("\n"))
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return nil, ErrClosed
	case err != nil:
		return nil, fmt.Errorf("taking the connection to the guest: %w", err)
	case !whole:
		return nil, errors.New("the host's answer has no end")
	case string(answer) != given:
		return nil, &Refused{protocol.ParseFailure(append([]byte{protocol.NotRun}, text...))}
	case file == nil:
		return nil, errors.New("the host has sent no connection")
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("taking the connection to the guest: %w", err)
	}
	guest, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("the host has sent another connection"), conn.Close())
	}
	return guest, nil
}

// follow ends the connection to the guest when the host ends the one to it.
func (g *Guest) follow() {
	_, _ = io.Copy(io.Discard, g.host)
	_ = g.CloseWrite()
	// Not a deadline, after which Go reads nothing of what is there.
	time.AfterFunc(Parting, func() { _ = g.CloseRead() })
}

// Read fills p, and has less only before the end: MSG_WAITALL of recv(2), for which the socket has to block. Go's poller is
// woken by each packet of the guest's, of the dozens that a frame of output comes in.
func (g *Guest) Read(p []byte) (n int, err error) {
	raw, err := g.SyscallConn()
	if err != nil {
		return 0, err
	}
	closed := raw.Control(func(fd uintptr) {
		g.waits.Do(func() { err = unix.SetNonblock(int(fd), false) })
		for again := err == nil; again; again = errors.Is(err, unix.EINTR) {
			n, _, err = unix.Recvfrom(int(fd), p, unix.MSG_WAITALL)
		}
	})
	switch {
	case closed != nil:
		return 0, closed
	case err != nil:
		return 0, os.NewSyscallError("recv", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Close ends both. Who waits in Read or Write has the end.
func (g *Guest) Close() error {
	return errors.Join(g.CloseWrite(), g.CloseRead(), g.UnixConn.Close(), g.host.Close())
}
