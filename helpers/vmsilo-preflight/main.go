// Vmsilo-preflight looks for what a VM needs to start.
//
// Synopsis:
//
//	vmsilo-preflight --vm=NAME [--file=WHAT=PATH]… [--program=PACKAGE=PROGRAM]…
//
// Description:
//
// It fails when a file is not a regular file or a block device, or when a program cannot be found, and names
// each of them, so that a start ends at once and says why. Files are looked at and never opened:
// a FIFO in the place of a kernel does not hold it up.
//
// Options:
//
//	--vm       the VM, for the messages
//	--file     a file, and what it is to the VM
//	--program  a program, by its path or to be found in PATH, and the package that brings it
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-preflight", flag.ContinueOnError)
	vm := flags.String("vm", "", "the VM")
	var missing []string
	check := func(look func(label, value string) string) func(string) error {
		return func(arg string) error {
			label, value, ok := strings.Cut(arg, "=")
			if !ok {
				return fmt.Errorf("want LABEL=VALUE, got %q", arg)
			}
			if problem := look(label, value); problem != "" {
				missing = append(missing, problem)
			}
			return nil
		}
	}
	flags.Func("file", "a file, as WHAT=PATH", check(lookAtFile))
	flags.Func("program", "a program, as PACKAGE=PROGRAM", check(lookForProgram))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("VM %q cannot start: %s", *vm, strings.Join(missing, "; "))
}

// lookAtFile returns what is wrong with a file, or "".
func lookAtFile(what, path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("its %s %q is not there", what, path)
	case err != nil:
		return fmt.Sprintf("its %s cannot be looked at: %v", what, err)
	case info.Mode().IsRegular(), info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
		return ""
	default:
		return fmt.Sprintf("its %s %q is neither a regular file nor a block device", what, path)
	}
}

// lookForProgram returns what is wrong with a program, or "".
func lookForProgram(pkg, program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Sprintf("it needs the program %q, which the package %s brings", program, pkg)
	}
	return ""
}
