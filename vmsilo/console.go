package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
	"vmsilo/internal/vmunit"
	"vmsilo/vmsilo/terminal"
)

const (
	// detachKey is Ctrl-].
	detachKey = 0x1d
	// silence is how long the console must have said nothing after the end of the input to be left.
	silence = time.Second
)

// console attaches to the console of a VM that runs.
func console(_, stderr io.Writer, args []string) error {
	operands, err := parse(flag.NewFlagSet("console", flag.ContinueOnError), args, "NAME")
	if err != nil {
		return err
	}
	name := operands[0]
	if err := wantRunning(name); err != nil {
		return err
	}
	conn, err := connect(name, "console")
	if errors.Is(err, errDown) {
		return command.Errorf("systemctl status vmsilo-console@"+name+".socket", "the console of VM %q is not there: %w", name, err)
	} else if err != nil {
		return err
	}
	defer conn.Close()
	a := attached{conn: conn}
	if terminal.Is(os.Stdin) {
		fmt.Fprintf(stderr, "attached to the console of %s; Ctrl-] detaches\n", name)
		err = a.interact(os.Stdin, os.Stdout)
	} else {
		err = a.copy(os.Stdin, os.Stdout)
	}
	if !errors.Is(err, errClosed) {
		return err
	}
	if _, running := stays(name); running {
		return command.Errorf("one at a time is attached, and who takes nothing for ten seconds is not any more", "the console of VM %q has closed, though the VM runs", name)
	}
	fmt.Fprintln(stderr, "vmsilo: the VM has ended")
	return nil
}

// wantRunning returns an error for a VM that is configured and does not run. Where systemd cannot be asked, the socket
// will tell.
func wantRunning(name string) error {
	switch stateOf(name).Word {
	case "", "running", "starting", "stopping":
		return nil
	}
	if !readConfig().has(name) {
		return nil
	}
	return command.Errorf("systemctl start "+vmunit.Of(name), "VM %q is not running", name)
}

// errClosed is the other side's end.
var errClosed = errors.New("the console has closed")

// attached is a connection to a console.
type attached struct {
	conn net.Conn
	// heard is when it last said something, in nanoseconds.
	heard atomic.Int64
}

// interact carries what a person types and what the console says, until one of them has enough: nil is the person.
func (a *attached) interact(in, out *os.File) error {
	// Output that nobody takes must not be the end of a process whose terminal is raw.
	signal.Ignore(unix.SIGPIPE)
	raw, err := terminal.MakeRaw(in)
	if err != nil {
		return err
	}
	defer raw.Restore()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, heeded(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)...)
	defer signal.Stop(signals)
	ends := make(chan error, 2)
	go func() {
		defer raw.RestoreInPanic()
		ends <- a.send(in)
	}()
	go func() {
		defer raw.RestoreInPanic()
		ends <- a.listen(out)
	}()
	select {
	case err := <-ends:
		fmt.Fprint(out, "\r\n")
		return err
	case got := <-signals:
		return &command.Status{Code: 128 + int(got.(syscall.Signal))}
	}
}

// send sends what is typed up to the key that detaches, or to the end of the terminal.
func (a *attached) send(in io.Reader) error {
	buffer := make([]byte, 4096)
	for {
		n, err := in.Read(buffer)
		typed, _, detach := bytes.Cut(buffer[:n], []byte{detachKey})
		if _, err := a.conn.Write(typed); err != nil {
			return errClosed
		}
		if detach || err != nil {
			return nil
		}
	}
}

// listen writes what the console says, until that closes.
func (a *attached) listen(out io.Writer) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := a.conn.Read(buffer)
		if n > 0 {
			a.heard.Store(time.Now().UnixNano())
			if _, err := out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("writing what the console says: %w", err)
			}
		}
		if err != nil {
			return errClosed
		}
	}
}

// copy sends all of in, and then goes on until the console has been silent for a while.
func (a *attached) copy(in io.Reader, out io.Writer) error {
	ends := make(chan error, 2)
	go func() { ends <- a.listen(out) }()
	go func() {
		if _, err := io.Copy(a.conn, in); errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			ends <- errClosed
			return
		} else if err != nil {
			ends <- fmt.Errorf("sending the input: %w", err)
			return
		}
		a.heard.Store(time.Now().UnixNano())
		for {
			quiet := time.Since(time.Unix(0, a.heard.Load()))
			if quiet >= silence {
				ends <- nil
				return
			}
			time.Sleep(silence - quiet)
		}
	}()
	return <-ends
}
