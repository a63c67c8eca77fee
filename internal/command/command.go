// Package command holds the manners that vmsilo's programs share: how they end and what they print.
package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/journal"
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

// Status is an error that ends the program with an exit status of its own.
type Status struct {
	Code int
	// Err is what is reported, or nil when nothing needs to be said.
	Err error
}

// Error returns the error's text.
func (s *Status) Error() string {
	if s.Err == nil {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	return s.Err.Error()
}

// Unwrap returns the error itself.
func (s *Status) Unwrap() error { return s.Err }

// Main runs a program's run with its arguments, reports what it returns, and exits: 1 for an error that has no Status.
func Main(run func(args []string) error) {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	code, silent := 1, false
	var status *Status
	if errors.As(err, &status) {
		code, silent = status.Code, status.Err == nil
	}
	if !silent {
		report(filepath.Base(os.Args[0]), err)
	}
	os.Exit(code)
}

// objectUnit is the journal's field for the unit that a message is about: systemd.journal-fields(7).
// A unit sets the variable of this name so that systemctl status of its VM shows the message, too;
// systemctl believes only root's.
const objectUnit = "OBJECT_SYSTEMD_UNIT"

// report writes err to the journal as a message about a VM where the unit asks for that, and else to standard error.
func report(name string, err error) {
	if unit := os.Getenv(objectUnit); unit != "" && journal.Enabled() {
		// The run of the unit, as systemd's own messages about it have it: of a process that has ended by then the journal may
		// not find out.
		fields := map[string]string{objectUnit: unit, "SYSLOG_IDENTIFIER": name, "INVOCATION_ID": os.Getenv("INVOCATION_ID")}
		if journal.Send(Text(err), journal.PriErr, fields) == nil {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, Text(err))
}

// Text returns "error: …", and "hint: …" on a line of its own where err has one.
func Text(err error) string {
	text := "error: " + err.Error()
	var hinted *Hinted
	if errors.As(err, &hinted) && hinted.Hint != "" {
		text += "\nhint: " + hinted.Hint
	}
	return text
}
