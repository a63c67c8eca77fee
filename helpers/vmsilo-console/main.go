// Vmsilo-console carries a client to the serial console of a VM.
//
// Synopsis:
//
//	vmsilo-console --vm=NAME [--idle=DURATION] CONSOLE
//
// Description:
//
// It takes the listening socket that systemd hands over. One client at a time is carried to CONSOLE, the VMM's socket,
// which is waited for while the VMM starts, for as long as the client stays and the VM's folder is there. Another is told
// that somebody is attached, and let go. What the guest writes to an attached console is written to standard output,
// too, line by line, as text.
//
// A client or a guest that takes nothing for ten seconds of what the other has sent ends the attachment. It ends when
// nobody is attached for a while.
//
// Options:
//
//	--vm    the VM, for the messages
//	--idle  how long to wait for the next client; 5s when not given
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() {
	command.Main(func(args []string) error { return run(os.Stdout, args) })
}

func run(stdout io.Writer, args []string) error {
	flags := flag.NewFlagSet("vmsilo-console", flag.ContinueOnError)
	vm := flags.String("vm", "", "the VM")
	idle := flags.Duration("idle", 5*time.Second, "how long to wait for the next client")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *vm == "" {
		return fmt.Errorf("want --vm and one console, got %q", args)
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return serve(socket, *vm, flags.Arg(0), stdout, *idle)
}
