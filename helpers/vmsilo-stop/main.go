// Vmsilo-stop ends a VM cleanly.
//
// Synopsis:
//
//	vmsilo-stop --pid=PID [--timeout=DURATION] FOLDER
//
// Description:
//
// It presses the VM's power button through the control socket of the VMM, which is in FOLDER under the name of
// its protocol, and waits for the VMM to end. A guest that has not ended after three quarters of the time is
// not asked again: the VMM is told to quit. Without a process there is nothing to do.
//
// Options:
//
//	--pid      the VMM's process
//	--timeout  how long the whole may take, a duration of Go or infinity; 60s when not given
package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

// forever is longer than any VM runs, and short enough to be counted in milliseconds of an int32.
const forever = 24 * 24 * time.Hour

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-stop", flag.ContinueOnError)
	pidText := flags.String("pid", "", "the VMM's process")
	timeout := time.Minute
	flags.Func("timeout", "how long the whole may take, or infinity", func(text string) (err error) {
		if timeout = forever; text != "infinity" {
			timeout, err = time.ParseDuration(text)
		}
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want the folder of the control socket, got %q", flags.Args())
	}
	if *pidText == "" {
		return nil
	}
	pid, err := strconv.Atoi(*pidText)
	if err != nil {
		return fmt.Errorf("reading --pid: %w", err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(process)
	return stop(process, flags.Arg(0), timeout)
}

func stop(process int, folder string, timeout time.Duration) error {
	control, err := findControl(folder)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		send func() error
		wait time.Duration
	}{
		{"pressing the power button", control.powerButton, timeout * 3 / 4},
		{"telling the VMM to quit", control.quit, timeout / 8},
	} {
		// A VMM that does not listen may end all the same, and the next step is harder than this one.
		sendErr := step.send()
		ended, err := waitFor(process, step.wait)
		if err != nil || ended {
			return err
		}
		fmt.Printf("the VM goes on %v after %s (%v)\n", step.wait, step.name, sendErr)
	}
	return errors.New("the VMM does not end")
}

// waitFor waits for the process to end.
func waitFor(process int, limit time.Duration) (ended bool, err error) {
	deadline := time.Now().Add(limit)
	for {
		left := max(0, time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(left))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// control is what every VMM's control socket can do.
type control struct{ powerButton, quit func() error }

// findControl returns the control of the socket that the VMM has put into folder.
func findControl(folder string) (control, error) {
	for name, protocol := range map[string]func(string) control{"qmp.sock": qmp, "crosvm.sock": crosvm} {
		path := filepath.Join(folder, name)
		if err := unix.Access(path, unix.F_OK); err == nil {
			return protocol(path), nil
		}
	}
	return control{}, fmt.Errorf("no VMM has a control socket in %q", folder)
}
