// Vmsilo-qemu runs QEMU with what only the moment of the start can tell, and says how the guest ended.
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
// QEMU has one exit status for a guest that powers off, one that reboots and one whose kernel panics. vmsilo-qemu listens
// to its events and ends with 0, 32 and 34, as crosvm does. QEMU does not outlive it.
//
// Options:
//
//	--await       a file that must be there before QEMU starts
//	--console-as  the journal's identifier for QEMU's standard output, which is the guest's console
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
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
	words := append(accelerator(), control...)
	// The journal's time of this line is that of QEMU's start, which systemd does not see.
	fmt.Printf("starting %s: %s\n", args[0], strings.Join(words, " "))
	console := os.Stdout
	if *identifier != "" {
		if console, err = journalConsole(journalStream, *identifier); err != nil {
			return err
		}
	}
	return runQEMU(&exec.Cmd{
		Path: program, Args: slices.Insert(slices.Clone(args), 1, words...),
		Stdin: os.Stdin, Stdout: console, Stderr: os.Stderr,
	})
}

// control makes QEMU's file descriptor 3, the first of exec.Cmd's ExtraFiles, a control connection.
var control = []string{"-chardev", "socket,id=end,fd=3", "-mon", "chardev=end,mode=control"}

// runQEMU runs QEMU until it ends. Signals that would end this process are QEMU's.
func runQEMU(qemu *exec.Cmd) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return fmt.Errorf("making a control connection: %w", err)
	}
	defer ours.Close()
	qemu.ExtraFiles = []*os.File{theirs}
	// The signal comes when the thread that has started QEMU ends.
	runtime.LockOSThread()
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := errors.Join(qemu.Start(), theirs.Close()); err != nil {
		return fmt.Errorf("starting %q: %w", qemu.Path, err)
	}
	go func() {
		for range signals {
			_ = qemu.Process.Signal(syscall.SIGTERM)
		}
	}()
	cause := listen(ours)
	if err := qemu.Wait(); qemu.ProcessState == nil {
		return fmt.Errorf("waiting for QEMU: %w", err)
	}
	return ended(qemu.ProcessState, cause)
}

// socketPair returns two sockets that are connected, neither of which a new program has by itself.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "QEMU"), os.NewFile(uintptr(fds[1]), "vmsilo-qemu"), nil
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
