// Vmsilo-refuse fails with the reasons that it is given.
//
// Synopsis:
//
//	vmsilo-refuse REASON…
//
// Description:
//
// It stands where a unit would start something that its configuration does not allow,
// so that the journal and systemctl status say why. A reason may have several lines.
package main

import (
	"errors"
	"strings"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("no reason is given")
	}
	return errors.New(strings.Join(args, "\n"))
}
