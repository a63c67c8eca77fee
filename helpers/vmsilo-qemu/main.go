// Vmsilo-qemu becomes QEMU with what only the moment of the start can tell.
//
// Synopsis:
//
//	vmsilo-qemu [--await=FILE] [--console-as=IDENTIFIER] PROGRAM ARGUMENT…
//
// Description:
//
// It puts -accel and -cpu before the arguments, so that one among them comes later and wins: KVM where it works,
// and else emulation of a processor that is fast to emulate. QEMU connects once to the socket of a device that runs
// beside it, and does not try again: vmsilo-qemu waits until that is there, while systemd starts both at once.
//
// Options:
//
//	--await       a file that must be there before QEMU starts
//	--console-as  the journal's identifier for standard output, which is the guest's console
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/await"
	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-qemu", flag.ContinueOnError)
	socket := flags.String("await", "", "a file that must be there before QEMU starts")
	identifier := flags.String("console-as", "", "the journal's identifier for standard output, which is the guest's console")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	if len(args) == 0 {
		return errors.New("no program is given")
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("finding QEMU: %w", err)
	}
	if *socket != "" {
		if err := await.File(*socket); err != nil {
			return fmt.Errorf("waiting for a device: %w", err)
		}
	}
	accelerator := accelerator()
	// The journal's time of this line is that of QEMU's start, which systemd does not see.
	fmt.Printf("starting %s: %s\n", args[0], strings.Join(accelerator, " "))
	if *identifier != "" {
		if err := consoleToJournal(journalStream, *identifier); err != nil {
			return err
		}
	}
	err = syscall.Exec(program, slices.Insert(slices.Clone(args), 1, accelerator...), os.Environ())
	return fmt.Errorf("starting %q: %w", program, err)
}

// accelerator returns the options for KVM when a virtual machine can be made with it.
func accelerator() []string {
	if err := tryKVM("/dev/kvm"); err != nil {
		fmt.Println("vmsilo-qemu: emulating the processor, which is slow:", err)
		return []string{"-accel", "tcg", "-cpu", "Nehalem"}
	}
	return []string{"-accel", "kvm", "-cpu", "host"}
}

// kvmCreateVM is KVM_CREATE_VM of linux/kvm.h: _IO(KVMIO, 0x01).
const kvmCreateVM = 0xae01

func tryKVM(path string) error {
	kvm, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %q: %w", path, err)
	}
	defer unix.Close(kvm)
	vm, err := unix.IoctlRetInt(kvm, kvmCreateVM)
	if err != nil {
		return fmt.Errorf("making a virtual machine with %q: %w", path, err)
	}
	return unix.Close(vm)
}
