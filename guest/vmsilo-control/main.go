// Vmsilo-control does what the host asks of the guest as a whole.
//
// Synopsis:
//
//	vmsilo-control
//
// Description:
//
// Standard input and output are a connection of the host, on which it reads one request and answers it: docs/protocol.md.
// SYNC writes all file systems. POWEROFF has systemd shut down, as the power button does, whether or not a logind is there
// to see that.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"vmsilo/guest/internal/peer"
	"vmsilo/internal/command"
	"vmsilo/internal/protocol"
)

func main() {
	command.Main(func([]string) error {
		if from, err := unix.Getpeername(unix.Stdin); err == nil && !peer.Host(from) {
			return errors.New("a connection that is not the host's")
		}
		return run(os.Stdin, os.Stdout, powerOff)
	})
}

func run(stdin io.Reader, stdout io.Writer, powerOff func() error) error {
	to, err := protocol.NewWriter(stdout)
	if err != nil {
		return err
	}
	kind, _, err := protocol.NewHostReader(stdin).Next()
	switch {
	case errors.Is(err, protocol.ErrMalformed):
	case err != nil:
		return fmt.Errorf("reading a request: %w", err)
	case kind == protocol.Sync:
		unix.Sync()
		return to.Write(protocol.Done, nil)
	case kind == protocol.PowerOff:
		if err := to.Write(protocol.Done, nil); err != nil {
			return err
		}
		return powerOff()
	default:
		err = fmt.Errorf("a frame of type %#02x is no request", byte(kind))
	}
	failure := &protocol.Failure{Code: protocol.NotRun, Text: err.Error()}
	return to.Write(protocol.Failed, failure.Marshal())
}

// powerOff has systemd start poweroff.target: SIGRTMIN+4 of systemd(1). glibc's SIGRTMIN is 34.
func powerOff() error { return unix.Kill(1, unix.Signal(34+4)) }
