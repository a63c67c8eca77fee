package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"vmsilo/generator/config"
	"vmsilo/generator/graph"
	"vmsilo/generator/machine"
	"vmsilo/vmm/known"
)

// errInvalid is the error of --check when the configuration has errors, which are printed by then.
var errInvalid = errors.New("the configuration has errors")

func run(stdout, stderr io.Writer, args []string) error {
	flags := flag.NewFlagSet("vmsilo-generator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dryRun := flags.Bool("dry-run", false, "print every file that would be written")
	check := flags.Bool("check", false, "print every error of the configuration")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("reading the options: %w", err)
	}
	units, errs := generate(config.Path())
	switch {
	case *check:
		printErrors(stdout, errs)
		if len(errs) > 0 {
			return errInvalid
		}
		return nil
	case *dryRun:
		printErrors(stderr, errs)
		printFiles(stdout, units)
		return nil
	case flags.NArg() != 3:
		return fmt.Errorf("want three folders as systemd gives them, --dry-run or --check; got %q", args)
	}
	printErrors(stderr, errs)
	return units.Write(flags.Arg(0))
}

// generate goes the one way of the data: config, machine, graph.
func generate(path []string) (*graph.Graph, []config.Error) {
	c := config.Load(path, known.Hypervisors())
	sound := machine.All(c)
	return graph.New(sound, c.Broken), c.Errors()
}

func printErrors(w io.Writer, errs []config.Error) {
	for _, e := range errs {
		fmt.Fprintln(w, e)
	}
}

func printFiles(w io.Writer, units *graph.Graph) {
	for f := range units.Files() {
		if f.Target != "" {
			fmt.Fprintf(w, "# %s -> %s\n\n", f.Path, f.Target)
			continue
		}
		fmt.Fprintf(w, "# %s\n%s\n", f.Path, f.Content)
	}
}
