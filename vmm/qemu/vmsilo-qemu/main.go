// Vmsilo-qemu runs QEMU with what only the moment of the start can tell, and says how the guest ended.
//
// Synopsis:
//
//	vmsilo-qemu [--await=FILE] [--console-as=IDENTIFIER] [--lender=SOCKET] [IMAGE]… PROGRAM ARGUMENT…
//
// Description:
//
// It puts -accel and -cpu before the arguments, so that one among them comes later and wins: KVM where it works,
// and else emulation of a processor that is fast to emulate. QEMU connects once to the socket of a device that runs
// beside it, and does not try again: vmsilo-qemu waits until that is there, while systemd starts both at once. Where
// /dev/vhost-net can be opened, the kernel carries the packets of TAPs.
//
// QEMU has one exit status for a guest that powers off, one that reboots and one whose kernel panics. vmsilo-qemu listens
// to its events and ends with 0, 32 and 34, as crosvm does. QEMU does not outlive it.
//
// Options:
//
//	--await       a file that must be there before QEMU starts
//	--console-as  the journal's identifier for QEMU's standard output, which is the guest's console
//	--lender      where vmsilo-lend listens
//	IMAGE         a file that QEMU is going to open, which has to be what it is said to be: --file, --disk, --ephemeral
//	              and --lent of internal/imagecheck. What is lent has the descriptors 10 and those after
package main

import (
	"flag"
	"fmt"

	"vmsilo/internal/command"
	"vmsilo/internal/runvmm"
)

func main() { command.Main(run) }

func run(args []string) error {
	return runvmm.Main(flag.NewFlagSet("vmsilo-qemu", flag.ContinueOnError), args, func() (runvmm.VMM, error) {
		arguments := func(args []string) []string { return carried(args, vhostNet) }
		return runvmm.VMM{Name: "QEMU", Oldest: oldest, Options: append(accelerator(), control...), Arguments: arguments, Listen: listen}, nil
	})
}

// oldest is the first QEMU that has -action and pvpanic-pci.
const oldest = "6.0"

// accelerator returns the options for KVM when a virtual machine runs with it, as fast as this processor does.
func accelerator() []string {
	if err := runvmm.TryProcessor(); err != nil {
		fmt.Println("vmsilo-qemu: emulating the processor, which is slow:", err)
		return []string{"-accel", "tcg", "-cpu", "Nehalem"}
	}
	return []string{"-accel", "kvm", "-cpu", "host"}
}
