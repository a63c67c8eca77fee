// Vmsilo-vmm has the VMM of a VM that runs do what people ask for.
//
// Synopsis:
//
//	vmsilo-vmm [--idle=DURATION] FOLDER
//
// Description:
//
// It takes the listening socket that systemd hands over, whose permissions say who may ask. A connection brings one
// request, a line, and gets one line as the answer: OK, or why not. docs/protocol.md has the requests. What the VMM is told
// goes through its control socket, which is in FOLDER.
//
// It ends when nobody has asked for a while; the next connection starts it again. While the VM is paused it stays, and its
// status in systemd is "paused", until the VM goes on, or FOLDER, and so the VMM, is gone. One that is started anew meanwhile
// finds the file paused in FOLDER.
//
// Options:
//
//	--idle  how long to wait for the next request; 5s when not given
package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-vmm", flag.ContinueOnError)
	idle := flags.Duration("idle", 5*time.Second, "how long to wait for the next request")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want the folder of the control socket, got %q", flags.Args())
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	s := server{folder: flags.Arg(0), idle: *idle, tell: tell}
	return s.serve(socket)
}

// tell tells systemd how the VM is. That it cannot be told keeps nobody from anything.
func tell(status string) { _, _ = daemon.SdNotify(false, "STATUS="+status) }
