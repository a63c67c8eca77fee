// Vmsilo-generator turns the VMs of /etc/vmsilo into systemd units.
//
// Synopsis:
//
//	vmsilo-generator NORMAL EARLY LATE
//	vmsilo-generator --dry-run
//	vmsilo-generator --check
//
// Description:
//
// systemd runs it at boot and at every daemon-reload, with three folders of which it fills the first: systemd.generator(7).
// It reads the configuration and nothing else. One VM's error never changes another VM's units:
// a VM that cannot be built has a unit whose start fails and says why.
//
// Options:
//
//	--dry-run  print every file that would be written
//	--check    print every error of the configuration, and exit with status 1 if there is one
//
// VMSILO_CONFIG_PATH, folders separated by colons with the highest precedence first, stands in for
// /etc/vmsilo:/usr/lib/vmsilo.
package main

import (
	"os"
	"runtime/debug"

	"vmsilo/internal/command"
)

func main() {
	// At boot memory is everybody's: this keeps a thousand VMs below 16 MiB, and takes no time that can be measured.
	debug.SetGCPercent(80)
	command.Main(func(args []string) error { return run(os.Stdout, os.Stderr, args) })
}
