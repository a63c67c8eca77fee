// Vmsilo-crosvm runs crosvm, and offers the guest's console.
//
// Synopsis:
//
//	vmsilo-crosvm --console=SOCKET [--await=FILE] [--console-as=IDENTIFIER] [--lender=SOCKET] [IMAGE]… PROGRAM ARGUMENT…
//
// Description:
//
// crosvm connects a serial port to a socket that somebody else listens on, once, and ends where there is none.
// vmsilo-crosvm listens on SOCKET, and carries one client at a time to crosvm's file descriptor 3, which is to be the
// serial port: path=/proc/self/fd/3,input=/proc/self/fd/3 of --serial. What the guest says while nobody is connected is
// lost.
//
// It ends with crosvm's exit status, and crosvm does not outlive it.
//
// Options:
//
//	--console     where clients of the console connect
//	--await       a file that must be there before crosvm starts
//	--console-as  the journal's identifier for crosvm's standard output, where the guest logs
//	--lender      where vmsilo-lend listens
//	IMAGE         a file that crosvm is going to open, which has to be what it is said to be: --file, --disk, --ephemeral
//	              and --lent of internal/imagecheck. What is lent has the descriptors 10 and those after
package main

import (
	"flag"
	"fmt"
	"io"
	"net"

	"vmsilo/internal/command"
	"vmsilo/internal/console"
	"vmsilo/internal/runvmm"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-crosvm", flag.ContinueOnError)
	path := flags.String("console", "", "where clients of the console connect")
	return runvmm.Main(flags, args, func() (runvmm.VMM, error) {
		if err := runvmm.NeedKVM("crosvm"); err != nil {
			return runvmm.VMM{}, err
		}
		clients, err := net.Listen("unix", *path)
		if err != nil {
			return runvmm.VMM{}, fmt.Errorf("offering the console: %w", err)
		}
		return crosvm(clients), nil
	})
}

// crosvm is the VMM, whose serial port is for the listener's clients. Its own exit status says how the guest ended.
func crosvm(clients net.Listener) runvmm.VMM {
	return runvmm.VMM{Name: "crosvm", Listen: func(port io.ReadWriter, _ func()) runvmm.End {
		console.Carry(clients, port)
		return runvmm.Unsaid
	}}
}
