// Vmsilo-disk makes and removes the ephemeral disk of a VM, and looks at the disks that a VM is given.
//
// Synopsis:
//
//	vmsilo-disk create --size=BYTES FILE
//	vmsilo-disk remove FILE
//	vmsilo-disk check [--file=WHAT=PATH]… [--disk=WHAT,FORMAT,ro|rw=PATH]… [--ephemeral=PATH]
//		[--lender=SOCKET] [--lent=WHAT,FORMAT,ro|rw=PATH]…
//
// Description:
//
// The ephemeral disk is an empty, sparse qcow2, made by qemu-img(1). What an earlier run left in its place is replaced.
//
// A guest writes to a disk what it likes. A VMM that finds out for itself what format a disk has takes the header that a
// guest has put on a raw disk for what the host says, and follows it to any file that the VMM may open. So check fails,
// and says why, unless each disk is what it is said to be: raw, and without a header of any other format; or qcow2, and
// all of it in this one file. It runs as the user of the VMM, right before that, and fails, too, for what this user may
// not open. Of what is neither a file nor a block device nothing is opened: a FIFO does not hold it up. What vmsilo-lend
// lends is borrowed for this, in the order in which vmsilo-lend has it.
//
// Options:
//
//	--size       the disk's size in bytes
//	--file       a file that the VMM reads as it is, and what it is to the VM
//	--disk       a disk, what it is to the VM, its format, raw or qcow2, and whether the VM only reads it
//	--ephemeral  the ephemeral disk, which is a plain file
//	--lender     where vmsilo-lend listens
//	--lent       a disk that it lends, as --disk has it
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "create":
			return runCreate(args[1:])
		case "remove":
			return runRemove(args[1:])
		case "check":
			return runCheck(args[1:])
		}
	}
	return fmt.Errorf("want create, remove or check, got %q", args)
}

func runCreate(args []string) error {
	flags := flag.NewFlagSet("vmsilo-disk create", flag.ContinueOnError)
	size := flags.Int64("size", 0, "the disk's size in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one file, got %q", flags.Args())
	}
	if *size <= 0 {
		return fmt.Errorf("creating %q: %d is no size for it", flags.Arg(0), *size)
	}
	return create(flags.Arg(0), *size)
}

func runRemove(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one file, got %q", args)
	}
	return remove(args[0])
}

func create(file string, size int64) error {
	if err := remove(file); err != nil {
		return err
	}
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "--", file, strconv.FormatInt(size, 10)).CombinedOutput()
	if err != nil {
		return errors.Join(
			fmt.Errorf("creating disk %q: %w: %s", file, err, strings.TrimSpace(string(out))),
			remove(file),
		)
	}
	return nil
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing disk %q: %w", file, err)
	}
	return nil
}
