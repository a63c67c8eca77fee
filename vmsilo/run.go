package main

import (
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
	"vmsilo/internal/protocol"
	"vmsilo/vmsilo/session"
	"vmsilo/vmsilo/terminal"
)

const runOptions = `  -t, --terminal     give the program a terminal
  --env=NAME=VALUE   set a variable; as often as there are variables
  --directory=DIR    where the program starts: absolute, or below the home, which it is otherwise
`

// runCommand runs a program in a guest. Options end at the VM's name: what follows is the program's.
func runCommand(_, _ io.Writer, args []string) error {
	var program protocol.Program
	var withTerminal bool
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&withTerminal, "t", false, "")
	flags.BoolVar(&withTerminal, "terminal", false, "")
	flags.StringVar(&program.Directory, "directory", "", "")
	flags.Func("env", "", func(variable string) error {
		if strings.Index(variable, "=") < 1 {
			return errors.New("it is not NAME=VALUE")
		}
		program.Env = append(program.Env, variable)
		return nil
	})
	err := flags.Parse(args)
	operands := flags.Args()
	if len(operands) > 1 && operands[1] == "--" {
		operands = slices.Delete(operands, 1, 2)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return notRun(command.Errorf("see vmsilo run --help", "%w", err))
	case len(operands) == 0:
		return notRun(command.Errorf("see vmsilo run --help", "NAME is missing"))
	case len(operands) == 1:
		return notRun(command.Errorf("for a shell: vmsilo shell "+operands[0], "COMMAND is missing"))
	}
	program.Args = operands[1:]
	return inGuest(operands[0], program, withTerminal)
}

// shell runs the user's login shell, with a terminal where there is one.
func shell(_, _ io.Writer, args []string) error {
	operands, err := parse(flag.NewFlagSet("shell", flag.ContinueOnError), args, "NAME")
	if errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return notRun(err)
	}
	return inGuest(operands[0], protocol.Program{}, terminal.Is(os.Stdin))
}

// notRun gives an error the status of what is not the program's own failure.
func notRun(err error) error { return &command.Status{Code: protocol.NotRun, Err: err} }

// inGuest runs a program in the guest of a VM, and ends as it does.
func inGuest(name string, program protocol.Program, withTerminal bool) error {
	if withTerminal {
		size := terminal.Size(os.Stdin)
		program.Terminal = &size
		isTerm := func(variable string) bool { return strings.HasPrefix(variable, "TERM=") }
		if term := os.Getenv("TERM"); term != "" && !slices.ContainsFunc(program.Env, isTerm) {
			program.Env = append(program.Env, "TERM="+term)
		}
	} else {
		batch()
	}
	t := &task{name: name, program: program}
	if err := await(t); err != nil {
		return ended(name, protocol.Status{}, err)
	}
	defer t.conn.Close()
	status, err := converse(t.conn, t.session, program.Terminal)
	return ended(name, status, err)
}

// converse carries the program's input, output and signals until it has ended.
func converse(conn net.Conn, s *session.Session, size *protocol.Size) (protocol.Status, error) {
	// Output that nobody takes is an error of the write, and not the end of a process whose terminal is raw.
	signal.Ignore(unix.SIGPIPE)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, heeded(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)...)
	var raw *terminal.Raw
	if size != nil && terminal.Is(os.Stdin) {
		signal.Notify(signals, unix.SIGWINCH, unix.SIGCONT)
		var err error
		if raw, err = terminal.MakeRaw(os.Stdin); err != nil {
			return protocol.Status{}, err
		}
		defer raw.Restore()
	}
	var inputError, left atomic.Value
	go forward(s, signals, raw, size, func(signal syscall.Signal) {
		left.Store(signal)
		conn.Close()
	})
	go func() {
		defer raw.RestoreInPanic()
		if terminal.InBackground(os.Stdin) {
			// As with & of a shell. To read ahead for a program that may want nothing would have this process stopped.
			s.Send(protocol.Stdin, nil)
			return
		}
		err := s.Input(os.Stdin)
		switch {
		case !errors.As(err, new(*os.PathError)):
		case terminal.Is(os.Stdin):
			// One from which this process may not read has no input.
			s.Send(protocol.Stdin, nil)
		default:
			// Part of a file must not pass for all.
			inputError.Store(err)
			conn.Close()
		}
	}()
	status, err := s.Wait(os.Stdout, os.Stderr)
	if failed, ok := inputError.Load().(error); ok && err != nil {
		err = failed
	}
	if number, ok := left.Load().(syscall.Signal); ok && err != nil {
		err = &command.Status{Code: 128 + int(number)}
	}
	return status, err
}

// forward sends the program the signals that vmsilo gets, and the size of a raw terminal when that changes. A second
// SIGTERM or SIGHUP is for leave, which ends the program with the connection: a guest that hangs is no reason to stay.
func forward(s *session.Session, signals <-chan os.Signal, raw *terminal.Raw, size *protocol.Size, leave func(syscall.Signal)) {
	asked := false
	defer raw.RestoreInPanic()
	// It may have another size since the program was asked for.
	resize := func() {
		if now := terminal.Size(os.Stdin); raw != nil && now != *size {
			*size = now
			s.Send(protocol.Resize, now.Marshal())
		}
	}
	for resize(); ; {
		switch got := <-signals; got {
		case unix.SIGCONT:
			_ = raw.Again() // as good a terminal as it is
			resize()
		case unix.SIGWINCH:
			resize()
		default:
			if got == unix.SIGTERM || got == unix.SIGHUP {
				if asked {
					leave(got.(syscall.Signal))
					return
				}
				asked = true
			}
			// A guest that reads nothing would keep the next signal from being seen.
			go s.Send(protocol.Signal, []byte{byte(got.(syscall.Signal))})
		}
	}
}
