// Vmsilo-cloud-hypervisor runs cloud-hypervisor, and says how the guest ended.
//
// Synopsis:
//
//	vmsilo-cloud-hypervisor [--await=FILE] [--console-as=IDENTIFIER] [IMAGE]… PROGRAM ARGUMENT…
//
// Description:
//
// cloud-hypervisor starts a guest that reboots anew in the same process, and goes on when the guest's kernel has panicked.
// vmsilo-cloud-hypervisor puts --event-monitor before the arguments, listens to the events, and ends cloud-hypervisor:
// with status 32 after a reboot, and 34 after a panic, as crosvm does. cloud-hypervisor does not outlive it.
//
// Options:
//
//	--await       a file that must be there before cloud-hypervisor starts
//	--console-as  the journal's identifier for cloud-hypervisor's standard output, which is the guest's console
//	IMAGE         a file that cloud-hypervisor is going to open, which has to be what it is said to be: --file, --disk and
//	              --ephemeral of internal/imagecheck
package main

import (
	"flag"

	"vmsilo/internal/command"
	"vmsilo/internal/runvmm"
)

func main() { command.Main(run) }

func run(args []string) error {
	return runvmm.Main(flag.NewFlagSet("vmsilo-cloud-hypervisor", flag.ContinueOnError), args, func() (runvmm.VMM, error) {
		return cloudHypervisor, nil
	})
}

var cloudHypervisor = runvmm.VMM{
	Name:    "cloud-hypervisor",
	Options: []string{"--event-monitor", "fd=3"},
	Listen:  listen,
}
