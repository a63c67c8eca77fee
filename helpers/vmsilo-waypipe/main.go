// Vmsilo-waypipe is the host's end of a guest's waypipe.
//
// Synopsis:
//
//	vmsilo-waypipe [--idle=DURATION] DISPLAY
//
// Description:
//
// It takes the listening socket that systemd hands over, to which the VM's vsock device connects: a connection is one
// Wayland client of the guest. The first has it start "waypipe client", which connects to the compositor for each, at the
// socket DISPLAY. Connections are carried there, 64 at a time; more are closed at once.
//
// waypipe has to make the socket that it listens on, and knows no limit: therefore this is between the two.
//
// It ends, and waypipe with it, when there has been no connection for a while, and with an error when waypipe ends.
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

	"vmsilo/internal/command"
	"vmsilo/internal/idle"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

// maxConnections is how many are carried at a time.
const maxConnections = 64

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-waypipe", flag.ContinueOnError)
	rest := flags.Duration("idle", 10*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want the socket of a compositor, got %q", flags.Args())
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "waypipe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return serve(socket, &waypipe{folder: folder, display: flags.Arg(0)}, *rest)
}

// serve carries what connects until nothing has for so long.
func serve(socket *net.UnixListener, w *waypipe, rest time.Duration) error {
	defer w.end()
	load := idle.New(socket, rest)
	// full tells that it was said that there is no room.
	var full atomic.Bool
	for {
		conn, err := socket.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("accepting a connection: %w", err)
		}
		if err := w.start(); err != nil {
			// The guest is told at once, and the next connection tries again.
			return errors.Join(err, conn.Close())
		}
		if load.Add(1) > maxConnections {
			load.Add(-1)
			conn.Close()
			if !full.Swap(true) {
				fmt.Fprintf(os.Stderr, "vmsilo-waypipe: error: the guest has %d connections: more are refused\n", maxConnections)
			}
			continue
		}
		go func() {
			if err := join(conn, w); err != nil {
				fmt.Fprintf(os.Stderr, "vmsilo-waypipe: %s\n", command.Text(err))
			}
			load.Add(-1)
			full.Store(false)
		}()
	}
}

// join carries between a connection and waypipe until both sides have said all.
func join(conn *net.UnixConn, w *waypipe) error {
	defer conn.Close()
	to, err := w.dial()
	if err != nil {
		return err
	}
	defer to.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(to, conn)
		_ = to.CloseWrite()
	}()
	_, _ = io.Copy(conn, to)
	// waypipe has ended, or the compositor has.
	conn.Close()
	<-sent
	return nil
}
