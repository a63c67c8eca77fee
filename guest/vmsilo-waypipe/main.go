// Vmsilo-waypipe carries connections of waypipe to the host.
//
// Synopsis:
//
//	vmsilo-waypipe [--idle=DURATION]
//
// Description:
//
// It takes the listening socket that systemd hands over, to which "waypipe server" connects for each Wayland client, and
// carries each connection to vsock port 5003 of the host. waypipe could do that itself, but writes more at once than
// vhost-device-vsock takes.
//
// It ends when there has been no connection for a while; the next one starts it again.
//
// Options:
//
//	--idle  how long to wait for the next connection when there is none; 10s when not given
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/guest/internal/pieces"
	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

const (
	// port is the host's: docs/protocol.md.
	port = 5003
	// patience is how long the host may take to answer.
	patience = 10 * time.Second
)

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-waypipe", flag.ContinueOnError)
	idle := flags.Duration("idle", 10*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return serve(socket, host, *idle)
}

// serve carries what connects until nothing has for so long. connect opens the way to the host.
func serve(socket *net.UnixListener, connect func() (*os.File, error), idle time.Duration) error {
	var running atomic.Int64
	for {
		if err := socket.SetDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		conn, err := socket.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if running.Load() == 0 {
				return nil
			}
			continue
		case err != nil:
			return fmt.Errorf("accepting a connection: %w", err)
		}
		running.Add(1)
		go func() {
			defer running.Add(-1)
			if err := join(conn, connect); err != nil {
				fmt.Fprintf(os.Stderr, "vmsilo-waypipe: %s\n", command.Text(err))
			}
		}()
	}
}

// join carries between a connection and the host until both sides have said all. The host closes first: see docs/guest.md,
// what vhost-device-vsock gets wrong.
func join(conn *net.UnixConn, connect func() (*os.File, error)) error {
	defer conn.Close()
	to, err := connect()
	if err != nil {
		return err
	}
	defer to.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(pieces.Writer{To: to}, conn)
		if raw, err := to.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
		}
	}()
	// Without what an os.File does besides, which is not for sockets.
	_, _ = io.Copy(conn, struct{ io.Reader }{to})
	conn.Close()
	<-sent
	return nil
}

// host connects to the host.
func host() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a vsock: %w", err)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, &limit),
		unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: port}),
		unix.SetNonblock(fd, true),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to port %d of the host: %w", port, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "vsock"), nil
}
