package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

// check runs vmsilo-generator --check, and says what would move.
func check(stdout, stderr io.Writer, args []string) error {
	if _, err := parse(flag.NewFlagSet("check", flag.ContinueOnError), args); err != nil {
		return err
	}
	generator := exec.Command(paths.Generator, "--check")
	generator.Stdout, generator.Stderr = stdout, stderr
	err := generator.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("running %q: %w", paths.Generator, err)
	}
	for _, m := range moves(readConfig(), paths.Generated) {
		fmt.Fprintln(stdout, m)
	}
	if exit != nil {
		// It has said why.
		return &command.Status{Code: 1}
	}
	return nil
}
