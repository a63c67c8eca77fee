// Vmsilo is what people type: it runs programs in VMs, tells how VMs are and what is wrong with them, and looks after
// their images.
//
// Synopsis:
//
//	vmsilo run [-t] [--env=NAME=VALUE]… [--directory=DIR] NAME COMMAND [ARGUMENT]…
//	vmsilo shell NAME
//	vmsilo console NAME
//	vmsilo pause NAME
//	vmsilo resume NAME
//	vmsilo balloon NAME SIZE
//	vmsilo resize NAME DISK SIZE
//	vmsilo list [--json]
//	vmsilo why NAME
//	vmsilo check
//	vmsilo image build NAME --recipe=RECIPE
//	vmsilo image list
//	vmsilo image use NAME VERSION
//	vmsilo image remove NAME VERSION
//
// Description:
//
// run runs a program in the guest of a VM, which is started where it does not run, and ends as the program does. shell
// runs the user's login shell there. console attaches to the guest's console, as long as the VM runs.
//
// pause has the guest of a VM that runs stand still, and resume has it go on. balloon takes so much of its memory from it, and
// resize makes one of its disks larger.
//
// list shows the VMs and how they are, and why says of one what keeps it from running.
//
// check prints every error of the configuration and ends with status 1 if there is one; it is vmsilo-generator --check.
//
// image build makes a new version of an image and makes it the current one. RECIPE is the name of a recipe of
// /usr/share/vmsilo/recipes, or the path of one, which has a slash. VMs use the current version from their next start
// on; one that runs keeps what it has. A build that fails or is interrupted changes nothing.
//
// image list shows the images and their versions, image use makes an older version the current one again, and image
// remove deletes one that is neither current nor in use.
//
// VMs are started and stopped by systemctl(1), and what they log is journalctl(1)'s.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"vmsilo/internal/command"
)

func main() {
	command.Main(func(args []string) error { return run(os.Stdout, os.Stderr, args) })
}

// subcommand is one thing that vmsilo does.
type subcommand struct {
	// words are what is typed to have it, and operands what follows.
	words, operands string
	about           string
	// options are lines about them, or "".
	options string
	run     func(stdout, stderr io.Writer, args []string) error
}

func subcommands() []subcommand {
	return []subcommand{
		{"run", "[OPTION…] NAME COMMAND [ARGUMENT…]", "run a program in a VM", runOptions, runCommand},
		{"shell", "NAME", "run a login shell in a VM", "", shell},
		{"console", "NAME", "attach to the console of a VM that runs", "", console},
		{"pause", "NAME", "have the guest of a VM stand still", "", pauseVM},
		{"resume", "NAME", "have it go on", "", resumeVM},
		{"balloon", "NAME SIZE", "take so much memory from a guest, or 0", "", balloonVM},
		{"resize", "NAME DISK SIZE", "make a disk of a VM that runs larger", "", resizeDisk},
		{"list", "[--json]", "show the VMs and how they are", "", list},
		{"why", "NAME", "say what keeps a VM from running", "", why},
		{"check", "", "print every error of the configuration", "", check},
		{"image build", "NAME --recipe=RECIPE", "make a new version of an image", "", imageBuild},
		{"image list", "", "show the images and their versions", "", imageList},
		{"image use", "NAME VERSION", "make a version the one that VMs start with", "", imageUse},
		{"image remove", "NAME VERSION", "delete a version", "", imageRemove},
	}
}

func run(stdout, stderr io.Writer, args []string) error {
	found, args := find(subcommands(), args)
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		return usage(stdout, found)
	}
	if len(found) == 1 {
		err := found[0].run(stdout, stderr, args)
		if errors.Is(err, flag.ErrHelp) {
			return usage(stdout, found)
		}
		return err
	}
	hint := "there are: " + strings.Join(names(found), ", ")
	if len(args) == 0 {
		return command.Errorf(hint+"; see vmsilo --help", "which command?")
	}
	return command.Errorf(hint, "unknown command %q", args[0])
}

// find returns the subcommands whose words args begins with, as far as they go, and the arguments behind them.
func find(all []subcommand, args []string) (found []subcommand, rest []string) {
	for n := 0; n < len(args); n++ {
		next := slices.DeleteFunc(slices.Clone(all), func(s subcommand) bool {
			words := strings.Fields(s.words)
			return len(words) <= n || words[n] != args[n]
		})
		if len(next) == 0 {
			return all, args[n:]
		}
		all = next
	}
	return all, nil
}

func names(all []subcommand) (list []string) {
	for _, s := range all {
		list = append(list, s.words)
	}
	return list
}

func usage(w io.Writer, of []subcommand) error {
	fmt.Fprintln(w, "usage:")
	for _, s := range of {
		fmt.Fprintf(w, "  %-47s %s\n", strings.TrimSpace("vmsilo "+s.words+" "+s.operands), s.about)
	}
	if len(of) == 1 && of[0].options != "" {
		fmt.Fprint(w, "options:\n"+of[0].options)
	}
	return nil
}

// parse reads options, which may stand anywhere, and returns the operands, of which there must be as many as are named.
func parse(flags *flag.FlagSet, args []string, named ...string) (operands []string, err error) {
	flags.SetOutput(io.Discard)
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, command.Errorf("see vmsilo "+flags.Name()+" --help", "%w", err)
		}
		if flags.NArg() == 0 {
			break
		}
		operands, args = append(operands, flags.Arg(0)), flags.Args()[1:]
	}
	switch {
	case len(operands) < len(named):
		return nil, command.Errorf("see vmsilo "+flags.Name()+" --help", "%s is missing", named[len(operands)])
	case len(operands) > len(named):
		return nil, command.Errorf("see vmsilo "+flags.Name()+" --help", "%q is too much", operands[len(named)])
	}
	return operands, nil
}
