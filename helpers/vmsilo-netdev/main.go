// Vmsilo-netdev makes and removes the host's side of a VM's network interface.
//
// Synopsis:
//
//	vmsilo-netdev add --instance=VM:IFNAME --tap=NAME --owner=UID [--host-address=CIDR]
//	vmsilo-netdev remove --instance=VM:IFNAME
//
// Description:
//
// add makes a persistent TAP that only the owner can attach to, gives it the host's address and raises it.
// What it makes is recorded in /run/vmsilo/VM, and remove takes away what the record says.
// A TAP of the same owner that an earlier run left is replaced; any other interface of that name is left alone.
package main

import (
	"errors"
	"flag"
	"fmt"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

func main() {
	command.Main(func(args []string) error { return run(paths.Runtime, args) })
}

func run(runtime string, args []string) error {
	if len(args) == 0 || (args[0] != "add" && args[0] != "remove") {
		return fmt.Errorf("want add or remove, got %q", args)
	}
	flags := flag.NewFlagSet("vmsilo-netdev", flag.ContinueOnError)
	instance := flags.String("instance", "", "the VM and its interface, as VM:IFNAME")
	var t tap
	flags.StringVar(&t.Name, "tap", "", "the TAP's name")
	owner := flags.Uint("owner", 0, "the uid that may attach to the TAP")
	flags.StringVar(&t.hostAddress, "host-address", "", "the host's address on the TAP, as a CIDR")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	record, err := recordPath(runtime, *instance)
	if err != nil {
		return err
	}
	if args[0] == "remove" {
		return remove(record)
	}
	t.Owner = uint32(*owner)
	// The kernel takes 15 bytes, and uid 0 for an owner would be anybody with CAP_NET_ADMIN.
	if t.Name == "" || len(t.Name) > 15 || t.Owner == 0 {
		return fmt.Errorf("want a TAP's name of 15 bytes at most and an owner, got %q and %d", t.Name, t.Owner)
	}
	if err := t.add(record); err != nil {
		return errors.Join(fmt.Errorf("creating TAP %q: %w", t.Name, err), remove(record))
	}
	return nil
}
