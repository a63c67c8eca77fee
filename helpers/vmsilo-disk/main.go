// Vmsilo-disk makes and removes the ephemeral disk of a VM.
//
// Synopsis:
//
//	vmsilo-disk create --size=BYTES FILE
//	vmsilo-disk remove FILE
//
// Description:
//
// The ephemeral disk is an empty, sparse qcow2, made by qemu-img(1). What an earlier run left in its place is replaced.
//
// Options:
//
//	--size  the disk's size in bytes
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
		}
	}
	return fmt.Errorf("want create or remove, got %q", args)
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
