// Package runvmm runs a VMM as the child of a helper, which hears from it how the guest ended.
package runvmm

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/await"
	"vmsilo/internal/command"
	"vmsilo/internal/imagecheck"
	"vmsilo/internal/lending"
)

// VMM is a program that runs a guest.
type VMM struct {
	// Name is what people call it.
	Name string
	// Oldest is the first version that has all that it is given, or "" where its versions say nothing.
	Oldest string
	// Options are put before its arguments: what only the moment of the start can tell, and what has the VMM use its file
	// descriptor 3, which is a socket to Listen.
	Options []string
	// Arguments returns the arguments that it is given as they are to be at the moment of the start. Without it they stay.
	Arguments func(args []string) []string
	// Listen talks with the VMM on that socket until the VMM closes it, and returns how the guest ended. A VMM that does not
	// end with its guest is ended by kill.
	Listen func(vmm io.ReadWriter, kill func()) End
}

// Main runs a VMM with the arguments of a helper: its flags, to which it adds --await, --console-as,
// --lender and those of imagecheck.Images, the VMM's program, and that one's arguments. It returns when the VMM has ended, with a command.Status that says how the guest did.
func Main(flags *flag.FlagSet, args []string, prepare func() (VMM, error)) error {
	var sockets []string
	flags.Func("await", "a file that must be there before the VMM starts", func(path string) error {
		sockets = append(sockets, path)
		return nil
	})
	identifier := flags.String("console-as", "", "the journal's identifier for standard output, which is the guest's console")
	lender := flags.String("lender", "", "the socket of who lends disks")
	var images imagecheck.Images
	images.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	if len(args) == 0 {
		return errors.New("no program is given")
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("finding the VMM: %w", err)
	}
	// Here and not in a process before: to be shut in takes one longer than to make a disk.
	if err := images.Make(); err != nil {
		return err
	}
	// By this user, right before the VMM opens them.
	if err := check(images, *lender); err != nil {
		return err
	}
	for _, socket := range sockets {
		if err := await.File(socket); err != nil {
			return fmt.Errorf("waiting for a device: %w", err)
		}
	}
	v, err := prepare()
	if err != nil {
		return err
	}
	if v.Arguments != nil {
		args = v.Arguments(args)
	}
	// The journal's time of this line is that of the VMM's start, which systemd does not see.
	fmt.Printf("starting %s: %s\n", args[0], strings.Join(v.Options, " "))
	console := os.Stdout
	if *identifier != "" {
		if console, err = journalConsole(journalStream, *identifier); err != nil {
			return err
		}
	}
	return v.Run(&exec.Cmd{
		Path: program, Args: slices.Insert(slices.Clone(args), 1, v.Options...),
		Stdin: os.Stdin, Stdout: console, Stderr: os.Stderr,
	})
}

// check looks at the files of a VM, and has every program that is started from here on have the disks that are lent, under
// the numbers from lending.First on.
func check(images imagecheck.Images, lender string) error {
	borrow := func() (*os.File, error) { return nil, errors.New("cannot be borrowed: no --lender is given") }
	if lender != "" {
		from, err := lending.Dial(lender)
		if err != nil {
			return err
		}
		defer from.Close()
		borrow = from.Next
	}
	kept := 0
	return images.Check(borrow, func(disk *os.File) error {
		kept++
		return lending.Keep(disk, kept-1)
	})
}

// Run runs the VMM's process until it ends, and returns as Main does. Signals that would end this process are the VMM's,
// SIGRTMIN+4 has the VM stopped, and the VMM does not outlive this process.
func (v VMM) Run(vmm *exec.Cmd) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return fmt.Errorf("making a control connection: %w", err)
	}
	defer ours.Close()
	// File descriptor 3.
	vmm.ExtraFiles = []*os.File{theirs}
	// The signal comes when the thread that has started the VMM ends.
	runtime.LockOSThread()
	vmm.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, powerOff)
	begun := time.Now()
	if err := errors.Join(vmm.Start(), theirs.Close()); err != nil {
		return fmt.Errorf("starting %q: %w", vmm.Path, err)
	}
	go obey(signals, vmm.Process)
	waited := make(chan error, 1)
	go func() {
		waited <- vmm.Wait()
		// A child of the VMM's that lives on may have the socket open.
		_ = ours.SetReadDeadline(time.Now().Add(time.Second))
	}()
	end := v.Listen(ours, func() { _ = vmm.Process.Kill() })
	// The VMM, which may be the guest's by now, is not held up by what is no longer listened to.
	_, _ = io.Copy(io.Discard, ours)
	if err := <-waited; vmm.ProcessState == nil {
		return fmt.Errorf("waiting for %s: %w", v.Name, err)
	}
	err = v.status(vmm.ProcessState, end)
	if status := vmm.ProcessState.ExitCode(); status > 0 && time.Since(begun) < early {
		if old := v.tooOld(vmm.Path); old != nil {
			return &command.Status{Code: status, Err: old}
		}
	}
	return err
}

// socketPair returns two sockets that are connected, neither of which a new program has by itself. A read from ours can
// have a deadline.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "the VMM"), os.NewFile(uintptr(fds[1]), "its helper"), nil
}
