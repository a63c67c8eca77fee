// Vmsilo-notify receives what a guest says of itself.
//
// Synopsis:
//
//	vmsilo-notify --ready=FILE [--idle=DURATION]
//
// Description:
//
// It takes the listening socket that systemd hands over. Each connection brings one message in the form of
// sd_notify(3) and is closed at once, since the guest may wait for that. READY=1 makes FILE; nothing else
// that a guest says has an effect. It ends when nothing has come for a while; the next connection starts it again.
//
// Options:
//
//	--ready  the file to make when the guest is ready
//	--idle   how long to wait for the next connection; 5s when not given
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

const (
	// maxMessage is how much of a message is looked at, in bytes.
	maxMessage = 4096
	// patience is how long a guest may take to say something on a connection that it opened.
	patience = time.Second
)

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-notify", flag.ContinueOnError)
	ready := flags.String("ready", "", "the file to make")
	idle := flags.Duration("idle", 5*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return serve(socket, *ready, *idle)
}

func serve(listener *net.UnixListener, ready string, idle time.Duration) error {
	for {
		if err := listener.SetDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		conn, err := listener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		if saysReady(conn) {
			if err := makeFile(ready); err != nil {
				return err
			}
		}
	}
}

// saysReady reads one message and closes the connection.
func saysReady(conn net.Conn) bool {
	defer conn.Close()
	message := make([]byte, maxMessage)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	n, _ := conn.Read(message)
	return slices.Contains(strings.Split(string(message[:n]), "\n"), "READY=1")
}

// makeFile makes the file, which is empty: that it is there says all.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("noting that the guest is ready: %w", err)
	}
	return f.Close()
}
