package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"vmsilo/internal/paths"
)

// check becomes vmsilo-generator --check.
func check(_, _ io.Writer, args []string) error {
	if _, err := parse(flag.NewFlagSet("check", flag.ContinueOnError), args); err != nil {
		return err
	}
	err := unix.Exec(paths.Generator, []string{paths.Generator, "--check"}, os.Environ())
	return fmt.Errorf("running %q: %w", paths.Generator, err)
}
