// Vmsilo-disk removes the ephemeral disk of a VM.
//
// Synopsis:
//
//	vmsilo-disk remove FILE
//
// Description:
//
// The disk is made by the helper that runs the VMM, such as vmsilo-qemu. One that is not there is no error.
package main

import (
	"fmt"

	"vmsilo/internal/command"
	"vmsilo/internal/ephemeral"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 2 || args[0] != "remove" {
		return fmt.Errorf("want remove and one file, got %q", args)
	}
	return ephemeral.Remove(args[1])
}
