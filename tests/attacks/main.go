// Attacks sends what a guest may not send, and tells what of it arrives.
//
// Synopsis:
//
//	attacks send FILE
//	attacks list FILE
//	attacks watch WHERE…
//
// Description:
//
// send, in a guest, sends all that FILE tells, by raw sockets where that is possible. list prints the same as lines, "good NAME" for what
// the guest may send and "bad NAME" for an attack. Each name begins with its place and a colon: where it would arrive. Lines of FILE:
//
//	frames PLACE INTERFACE OWN4 OWN6 OTHER-MAC OTHER4 OTHER6 HOST4 HOST6
//	udp good|bad PLACE INTERFACE MAC SOURCE DESTINATION PORT
//	tcp good|bad PLACE DESTINATION PORT
//
// The first is all of vmsilo/tests/frames, to everybody on that link. udp sends a packet to the MAC address of the next hop.
//
// watch, on the host, prints the name of what arrives at its place. WHERE is one of
//
//	into:PLACE=INTERFACE    what the host sends there
//	behind:PLACE=INTERFACE  what it takes from there, behind the packet filter
//	port:PLACE=PORT         what comes at that port, by UDP and TCP
package main

import (
	"fmt"
	"io"
	"os"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "send":
		items, err := read(args[1])
		if err != nil {
			return err
		}
		return send(items)
	case len(args) == 2 && args[0] == "list":
		items, err := read(args[1])
		list(os.Stdout, items)
		return err
	case len(args) > 1 && args[0] == "watch":
		return watch(args[1:])
	}
	return fmt.Errorf("want send FILE, list FILE or watch WHERE…, got %q", args)
}

func list(w io.Writer, items []item) {
	for _, i := range items {
		fmt.Fprintln(w, map[bool]string{true: "good", false: "bad"}[i.good], i.name)
	}
}
