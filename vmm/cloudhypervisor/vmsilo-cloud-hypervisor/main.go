// Vmsilo-cloud-hypervisor runs cloud-hypervisor, and says how the guest ended.
//
// Synopsis:
//
//	vmsilo-cloud-hypervisor --console=SOCKET --api=SOCKET [--await=FILE]… [--console-as=IDENTIFIER] [IMAGE]… PROGRAM ARGUMENT…
//
// Description:
//
// cloud-hypervisor starts a guest that reboots anew in the same process, and goes on when the guest's kernel has panicked.
// vmsilo-cloud-hypervisor puts --event-monitor before the arguments, listens to the events, and ends cloud-hypervisor:
// with status 32 after a reboot, and 34 after a panic, as crosvm does. cloud-hypervisor does not outlive it.
//
// cloud-hypervisor has one serial port, on which the guest logs. The guest's shell is on its virtio console, which is to be
// a pseudo terminal of cloud-hypervisor's: --console pty. vmsilo-cloud-hypervisor listens on SOCKET, and carries one client at
// a time to it. What the guest says while nobody is connected is lost.
//
// Options:
//
//	--console     where clients of the console connect
//	--api         where cloud-hypervisor listens: its --api-socket
//	--await       a file that must be there before cloud-hypervisor starts; each of several
//	--console-as  the journal's identifier for cloud-hypervisor's standard output, which is the guest's console
//	IMAGE         a file that cloud-hypervisor is going to open, which has to be what it is said to be: --file, --disk and
//	              --ephemeral of internal/imagecheck
package main

import (
	"flag"
	"fmt"
	"io"
	"net"

	"vmsilo/internal/command"
	"vmsilo/internal/runvmm"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-cloud-hypervisor", flag.ContinueOnError)
	path := flags.String("console", "", "where clients of the console connect")
	api := flags.String("api", "", "where cloud-hypervisor listens")
	return runvmm.Main(flags, args, func() (runvmm.VMM, error) {
		if err := runvmm.NeedKVM("cloud-hypervisor"); err != nil {
			return runvmm.VMM{}, err
		}
		clients, err := net.Listen("unix", *path)
		if err != nil {
			return runvmm.VMM{}, fmt.Errorf("offering the console: %w", err)
		}
		return cloudHypervisor(func() { offer(clients, *api) }), nil
	})
}

// cloudHypervisor is the VMM; booted is called when its guest has been started.
func cloudHypervisor(booted func()) runvmm.VMM {
	return runvmm.VMM{
		Name: "cloud-hypervisor",
		// The first that has --generic-vhost-user with device_type=, and a place for the balloon.
		Oldest:  "53",
		Options: []string{"--event-monitor", "fd=3"},
		Listen: func(events io.ReadWriter, kill func()) runvmm.End {
			return listen(events, booted, kill)
		},
	}
}
