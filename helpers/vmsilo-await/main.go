// Vmsilo-await waits until a file is there.
//
// Synopsis:
//
//	vmsilo-await --pid=PID --for=WHAT FILE
//
// Description:
//
// It ends as soon as the file exists, and fails when the process that is to make it ends before.
// It has no time limit: the unit that starts it has one, and stops it with SIGTERM, of which it says so and no more. Nothing is polled: inotify(7) and a pidfd tell.
//
// Options:
//
//	--pid  the process that makes the file, or that has it made
//	--for  what the file means, for the messages
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"vmsilo/internal/await"
	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-await", flag.ContinueOnError)
	pid := flags.Int("pid", 0, "the process that makes the file")
	what := flags.String("for", "the file", "what the file means")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *pid <= 0 {
		return fmt.Errorf("want --pid and one file, got %q", args)
	}
	err := waitFor(*pid, flags.Arg(0))
	switch {
	case errors.Is(err, errStopped):
		// systemd takes it for a failure when the time is over, and not when somebody stops the unit.
		fmt.Printf("waiting for %s: %v\n", *what, err)
	case err != nil:
		return fmt.Errorf("waiting for %s: %w", *what, err)
	}
	return nil
}

var (
	errProcess = errors.New("the process ended before")
	errStopped = errors.New("not there in time")
)

func waitFor(pid int, file string) error {
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return errProcess
	} else if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(process)
	stopped, err := onTerminate()
	if err != nil {
		return err
	}
	defer stopped.Close()
	err = await.File(file,
		await.Interrupt{FD: process, Events: unix.POLLIN, Err: errProcess},
		await.Interrupt{FD: int(stopped.Fd()), Events: unix.POLLIN, Err: errStopped})
	if errors.Is(err, errProcess) && isSoon(stopped) {
		return errStopped
	}
	return err
}

// isSoon reports whether a stop comes, of which the process may have heard a moment before.
func isSoon(stopped *os.File) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(stopped.Fd()), Events: unix.POLLIN}}, 200)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// onTerminate returns a pipe that can be read from when the process is asked to end.
func onTerminate() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-signals
		w.Close()
	}()
	return r, nil
}
