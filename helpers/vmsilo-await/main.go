// Vmsilo-await waits until a file is there.
//
// Synopsis:
//
//	vmsilo-await --pid=PID --for=WHAT FILE
//
// Description:
//
// It ends as soon as the file exists, and fails when the process that is to make it ends before.
// It has no time limit: the unit that starts it has one. Nothing is polled: inotify(7) and a pidfd tell.
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
	"path/filepath"

	"golang.org/x/sys/unix"

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
	if err := await(*pid, flags.Arg(0)); err != nil {
		return fmt.Errorf("waiting for %s: %w", *what, err)
	}
	return nil
}

var (
	errProcess = errors.New("the process ended before")
	errStopped = errors.New("not there in time")
)

func await(pid int, file string) error {
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return errProcess
	} else if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(process)
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making an inotify instance: %w", err)
	}
	defer unix.Close(watch)
	folder := filepath.Dir(file)
	// A file counts from when it has its name; it is never waited for to be written.
	if _, err := unix.InotifyAddWatch(watch, folder, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		return fmt.Errorf("watching %q: %w", folder, err)
	}
	stopped, err := onTerminate()
	if err != nil {
		return err
	}
	defer stopped.Close()
	return wait(process, watch, int(stopped.Fd()), file)
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

func wait(process, watch, stopped int, file string) error {
	events := make([]byte, 4096)
	for {
		if _, err := os.Lstat(file); err == nil {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}, {Fd: int32(process), Events: unix.POLLIN}, {Fd: int32(stopped), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("polling: %w", err)
		}
		switch {
		case fds[0].Revents != 0:
			// What happened is looked up above; the events only need to be taken.
			if _, err := unix.Read(watch, events); err != nil {
				return fmt.Errorf("reading inotify events: %w", err)
			}
		case fds[1].Revents != 0:
			return errProcess
		case fds[2].Revents != 0:
			return errStopped
		}
	}
}
