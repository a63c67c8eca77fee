// Vmsilo-netdev makes and removes the host's side of a VM's network interface.
//
// Synopsis:
//
//	vmsilo-netdev add --tap=NAME --owner=UID [--host-address=CIDR] [--mtu=BYTES] RECORD
//	vmsilo-netdev remove RECORD
//
// Description:
//
// add makes a persistent TAP that only the owner can attach to, gives it the host's address and its MTU, and raises it.
// An address that is empty is none.
// What it makes is written to the file RECORD, and remove takes away what the record says, and the record.
// A TAP of the same owner that an earlier run left is replaced; any other interface of that name is left alone.
package main

import (
	"errors"
	"flag"
	"fmt"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) == 0 || (args[0] != "add" && args[0] != "remove") {
		return fmt.Errorf("want add or remove, got %q", args)
	}
	flags := flag.NewFlagSet("vmsilo-netdev", flag.ContinueOnError)
	var t tap
	flags.StringVar(&t.Name, "tap", "", "the TAP's name")
	owner := flags.Uint("owner", 0, "the uid that may attach to the TAP")
	flags.StringVar(&t.hostAddress, "host-address", "", "the host's address on the TAP, as a CIDR")
	flags.IntVar(&t.mtu, "mtu", 0, "the TAP's MTU in bytes; 0 leaves the kernel's")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one record, got %q", flags.Args())
	}
	record := flags.Arg(0)
	if args[0] == "remove" {
		return remove(record)
	}
	if t.Name == "" {
		return errors.New("no TAP is named: the VM has no such interface")
	}
	t.Owner = uint32(*owner)
	// The kernel takes 15 bytes, and uid 0 for an owner would be anybody with CAP_NET_ADMIN.
	if len(t.Name) > 15 || t.Owner == 0 {
		return fmt.Errorf("want a TAP's name of 15 bytes at most and an owner, got %q and %d", t.Name, t.Owner)
	}
	if err := t.add(record); err != nil {
		return errors.Join(fmt.Errorf("creating TAP %q: %w", t.Name, err), remove(record))
	}
	return nil
}
