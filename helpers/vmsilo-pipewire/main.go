// Vmsilo-pipewire is all of PipeWire that a VM's sound device sees: a way for streams of sound, and only those which the VM may
// have.
//
// Synopsis:
//
//	vmsilo-pipewire --vm=NAME [--allow=playback|capture]…
//
// Description:
//
// The sound device, which a guest may have taken over, runs as the VM's own user. It connects to a socket of systemd's, and
// takes what answers there for PipeWire. vmsilo-pipewire runs as the user whose PipeWire it is. It reads each message of
// the device, and passes on what a stream of sound in an allowed direction is made of, without any descriptor: nothing else
// of PipeWire is in the device's reach, be it other programs' streams, links between them or the settings. What data there may
// be is decided by the direction of a stream's ports: into an output nothing is ever recorded. A stream is called what
// vmsilo-pipewire calls it, and goes where the user's session manager has it go.
//
// The device connects once, when the VM starts. PipeWire may not be there by then, and may come, go and come back: while it is not
// there, streams fail. One that is opened afterwards sounds.
//
// Options:
//
//	--vm     the name of the VM
//	--allow  a direction that streams may have; none by default
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"vmsilo/internal/command"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

// maxDevices is how many connections there are at once. A VM has one device, and for a moment two when that starts anew.
const maxDevices = 4

func run(args []string) error {
	g := gate{remote: fmt.Sprintf("/run/user/%d/pipewire-0", os.Getuid()), say: func(text string) { fmt.Println(text) }}
	flags := flag.NewFlagSet("vmsilo-pipewire", flag.ContinueOnError)
	flags.StringVar(&g.vm, "vm", "", "the name of the VM")
	flags.Func("allow", "a direction that streams may have", g.allow)
	if err := flags.Parse(args); err != nil {
		return err
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return g.serve(socket)
}

// gate is what stands between a VM's sound devices and PipeWire.
type gate struct {
	vm string
	// remote is the path of PipeWire's socket.
	remote string
	// playback and capture are what the VM may do.
	playback, capture bool
	// say takes lines for the journal.
	say func(string)
}

// allow lets streams have a direction. An empty one is none, as a unit without a drop-in has it.
func (g *gate) allow(direction string) error {
	switch direction {
	case "":
	case "playback":
		g.playback = true
	case "capture":
		g.capture = true
	default:
		return fmt.Errorf("%q is neither playback nor capture", direction)
	}
	return nil
}

// serve takes devices until the socket fails.
func (g *gate) serve(socket *net.UnixListener) error {
	places := make(chan struct{}, maxDevices)
	for {
		places <- struct{}{}
		conn, err := socket.AcceptUnix()
		if err != nil {
			return fmt.Errorf("waiting for the sound device: %w", err)
		}
		go func() {
			defer func() { <-places }()
			newSession(g, conn).run()
		}()
	}
}
