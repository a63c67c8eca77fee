// Vmsilo-run leads who connects to it to programs in a guest.
//
// Synopsis:
//
//	vmsilo-run --vm=NAME [--paused=FILE] [--idle=DURATION] DEVICE
//
// Description:
//
// It takes the listening socket that systemd hands over. For each who connects it connects to port 5000 of vsock in the
// guest, through DEVICE, the host's side of the VM's vsock device, and hands that connection over, as docs/protocol.md has
// it. No byte of it passes vmsilo-run, which stays connected to both: when the client closes, or dies, the guest is told, and
// is read from until it has closed, too.
//
// Each reaches the guest by itself, so that one whose guest is slow to answer holds up no other. If there is no
// way, or no room for another one, that is said instead. So it is while the VM is paused: of who connects then
// vhost-device-vsock 0.3 loses sight, and of all who come after that.
//
// It ends when nobody has been connected for a while. After SIGTERM, guests that are being told have half a second.
//
// Options:
//
//	--vm      the VM, for the messages
//	--paused  a file that is there while the VM is paused
//	--idle    how long to wait for the next connection when there is none; 5s when not given
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
	flags := flag.NewFlagSet("vmsilo-run", flag.ContinueOnError)
	vm := flags.String("vm", "", "the VM")
	paused := flags.String("paused", "", "a file that is there while the VM is paused")
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
	b := &broker{vm: *vm, device: flags.Arg(0), paused: *paused, patience: patience}
	return b.serve(socket, *idle)
}
