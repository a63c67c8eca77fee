// Vmsilo-relay carries connections to programs in a guest.
//
// Synopsis:
//
//	vmsilo-relay --vm=NAME [--idle=DURATION] DEVICE
//
// Description:
//
// It takes the listening socket that systemd hands over. Each connection is carried, byte for byte, to port 5000 of
// vsock in the guest, which is reached through DEVICE, the host's side of the VM's vsock device. As soon as either side
// ends, the other is closed.
//
// The guest is reached first, and the connection taken then. If the first one finds no way, the VM has not started:
// everybody who waits is told so, in the guest's place. If a later one does, the VM has ended meanwhile: those who wait
// are left to the next relay, which has the VM started again.
//
// It ends when there is nothing to carry for a while, and when the device does.
//
// Options:
//
//	--vm    the VM, for the messages
//	--idle  how long to wait for the next connection when there is none; 5s when not given
package main

import (
	"flag"
	"fmt"
	"time"

	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-relay", flag.ContinueOnError)
	vm := flags.String("vm", "", "the VM")
	idle := flags.Duration("idle", 5*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *vm == "" {
		return fmt.Errorf("want --vm and one device, got %q", args)
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return serve(socket, *vm, flags.Arg(0), *idle)
}
