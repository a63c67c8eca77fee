// Vmsilo-stop ends a VM cleanly.
//
// Synopsis:
//
//	vmsilo-stop --pid=PID [--timeout=DURATION] [--vsock=SOCKET] FOLDER
//
// Description:
//
// It asks the guest's vmsilo-control to power off, and has half of the time for that. It then presses the VM's power
// button through the control socket of the VMM, which is in FOLDER under the name of its protocol; after three quarters
// of the time it tells the VMM to quit, and after seven eighths it kills it. A guest or a VMM that cannot be asked costs no
// time. It prints a line for each of these that did not end the VM. Without a process there is nothing to do. A guest that
// is paused goes on first, so that it hears of its end.
//
// Options:
//
//	--pid      the VMM's process
//	--timeout  how long the whole may take, a duration of Go or infinity; 60s when not given
//	--vsock    the host's side of the VM's vsock device
package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/vmm/control"
)

func main() { command.Main(run) }

// forever is longer than any VM runs, and short enough to be added to a time.
const forever = 100 * 365 * 24 * time.Hour

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-stop", flag.ContinueOnError)
	pidText := flags.String("pid", "", "the VMM's process")
	device := flags.String("vsock", "", "the host's side of the VM's vsock device")
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
	resume(flags.Arg(0), min(time.Second, timeout/16))
	return stop(process, steps(*device, flags.Arg(0)), timeout)
}

// resume has a guest that is paused go on, and waits for that, since vhost-device-vsock 0.3 loses a connection that is made
// to one that is not. A VMM that does not answer holds it up for no longer than it may.
func resume(folder string, most time.Duration) {
	resumed := make(chan struct{})
	go func() {
		defer close(resumed)
		// One that runs may be an error.
		_ = ask(folder, control.VMM.Resume)
	}()
	select {
	case <-resumed:
	case <-time.After(most):
	}
}

// ask asks the VMM that has put its control socket into folder.
func ask(folder string, request func(control.VMM) error) error {
	vmm, err := control.In(folder)
	if err != nil {
		return err
	}
	return request(vmm)
}

// steps returns the ways to end a VM, the gentlest first.
func steps(device, folder string) []step {
	var all []step
	if device != "" {
		all = append(all, step{
			what: "asking the guest to power off", until: 4, orElse: true,
			send: func(deadline time.Time) error { return askGuest(device, deadline) },
		})
	}
	return append(
		all,
		step{what: "pressing the power button", until: 6, send: func(time.Time) error { return ask(folder, control.VMM.PowerButton) }},
		step{what: "telling the VMM to quit", until: 7, send: func(time.Time) error { return ask(folder, control.VMM.Quit) }},
	)
}
