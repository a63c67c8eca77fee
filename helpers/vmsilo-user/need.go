package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/started"
)

// needs collects what a VM needs and what of it is missing.
type needs struct {
	missing []string
	// states are those of the files that are there, as internal/started has them.
	states map[string]string
}

// register adds the options that name what is needed.
func (n *needs) register(flags *flag.FlagSet) {
	flags.Func("file", "a file that the VM needs, as WHAT=PATH", func(arg string) error {
		what, path, _ := strings.Cut(arg, "=")
		// A file that is not there, or gone since, is missing.
		if state, err := started.State(path); err == nil {
			n.states[what] = state
		}
		return n.check(lookAtFile, arg)
	})
	flags.Func("huge-pages", "how many huge pages the VM needs", func(text string) error {
		wanted, err := strconv.Atoi(text)
		if problem := lookForHugePages(hugePages, wanted); problem != "" {
			n.missing = append(n.missing, problem)
		}
		return err
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
	others := ofOthers(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("its %s %q is not there", what, path)
	case err != nil:
		return fmt.Sprintf("its %s cannot be looked at: %v", what, err)
	case others != "":
		return fmt.Sprintf("its %s %q is in %q, which has to be root's own: its owner could lead the VM elsewhere", what, path, others)
	case info.Mode().IsRegular(), info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
		return ""
	default:
		return fmt.Sprintf("its %s %q is neither a regular file nor a block device", what, path)
	}
}

// ofOthers returns what is right below /tmp or /var/tmp on the way to a file when it belongs to another user, or "". systemd
// puts it into the VMM's view, and follows as root what link it is by then: there, only its owner can put one in its place.
func ofOthers(path string) string {
	for _, folder := range []string{"/tmp", "/var/tmp"} {
		rest, below := strings.CutPrefix(filepath.Clean(path), folder+"/")
		if !below {
			continue
		}
		first, _, _ := strings.Cut(rest, "/")
		seen := filepath.Join(folder, first)
		var st unix.Stat_t
		if err := unix.Lstat(seen, &st); err != nil || st.Uid != uint32(os.Geteuid()) {
			return seen
		}
	}
	return ""
}

// lookForProgram returns what is wrong with a program, or "".
func lookForProgram(pkg, program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Sprintf("it needs the program %q, which the package %s brings", program, pkg)
	}
	return ""
}
