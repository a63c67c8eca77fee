package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"

	"vmsilo/generator/config"
	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

// check runs vmsilo-generator --check, and says what of the defaults is off, and what would move.
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
	configured := readConfig()
	for _, warning := range append(off(configured), moves(configured, paths.Generated)...) {
		fmt.Fprintln(stdout, warning)
	}
	if exit != nil {
		// It has said why.
		return &command.Status{Code: 1}
	}
	return nil
}

// off returns warnings of defaults that VMs do without.
func off(c configured) (warnings []config.Error) {
	for _, name := range c.names() {
		if m := c.sound[name]; m != nil {
			warnings = append(warnings, m.Off...)
		}
	}
	return warnings
}
