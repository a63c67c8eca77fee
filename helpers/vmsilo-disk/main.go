// Vmsilo-disk makes and removes the ephemeral disk of a VM.
//
// Synopsis:
//
//	vmsilo-disk create --size=BYTES FILE
//	vmsilo-disk remove FILE
//
// Description:
//
// The disk is an empty, sparse qcow2, made by qemu-img(1). What an earlier run left in its place is replaced.
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
	if len(args) == 0 || (args[0] != "create" && args[0] != "remove") {
		return fmt.Errorf("want create or remove, got %q", args)
	}
	flags := flag.NewFlagSet("vmsilo-disk", flag.ContinueOnError)
	size := flags.Int64("size", 0, "the disk's size in bytes")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one file, got %q", flags.Args())
	}
	file := flags.Arg(0)
	if args[0] == "remove" {
		return remove(file)
	}
	if *size <= 0 {
		return fmt.Errorf("creating %q: %d is no size for it", file, *size)
	}
	return create(file, *size)
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
