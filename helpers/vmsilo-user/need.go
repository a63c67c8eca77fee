package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// needs collects what a VM needs and what of it is missing.
type needs struct{ missing []string }

// register adds the options that name what is needed.
func (n *needs) register(flags *flag.FlagSet) {
	flags.Func("file", "a file that the VM needs, as WHAT=PATH", func(arg string) error {
		return n.check(lookAtFile, arg)
	})
	flags.Func("programs", "programs that the VM needs, each as PACKAGE=PROGRAM", func(list string) error {
		for _, arg := range strings.Fields(list) {
			if err := n.check(lookForProgram, arg); err != nil {
				return err
			}
		}
		return nil
	})
}

// check notes what is wrong with the value of a label, as look returns it.
func (n *needs) check(look func(label, value string) string, arg string) error {
	label, value, ok := strings.Cut(arg, "=")
	if !ok {
		return fmt.Errorf("want LABEL=VALUE, got %q", arg)
	}
	if problem := look(label, value); problem != "" {
		n.missing = append(n.missing, problem)
	}
	return nil
}

// err returns all that is missing in one line, or nil.
func (n *needs) err(vm string) error {
	if n.missing == nil {
		return nil
	}
	return fmt.Errorf("VM %q cannot start: %s", vm, strings.Join(n.missing, "; "))
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
