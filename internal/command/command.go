// Package command holds the manners that vmsilo's programs share: how they end and what they print.
package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Hinted is an error with a hint of what to do about it.
type Hinted struct {
	Err  error
	Hint string
}

// Error returns the error without its hint.
func (h *Hinted) Error() string { return h.Err.Error() }

// Unwrap returns the error itself.
func (h *Hinted) Unwrap() error { return h.Err }

// Errorf returns an error like fmt.Errorf, with a hint.
func Errorf(hint, format string, args ...any) error {
	return &Hinted{fmt.Errorf(format, args...), hint}
}

// Main runs a program's run with its arguments, prints what it returns, and exits: 1 for an error.
func Main(run func(args []string) error) {
	if err := run(os.Args[1:]); err != nil {
		Print(os.Stderr, filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// Print writes err as "NAME: error: …", and a line "NAME: hint: …" below it when there is a hint.
func Print(w io.Writer, name string, err error) {
	fmt.Fprintf(w, "%s: error: %v\n", name, err)
	var hinted *Hinted
	if errors.As(err, &hinted) && hinted.Hint != "" {
		fmt.Fprintf(w, "%s: hint: %s\n", name, hinted.Hint)
	}
}
