// Vmsilo-share becomes virtiofsd for one folder.
//
// Synopsis:
//
//	vmsilo-share VIRTIOFSD FOLDER
//
// Description:
//
// It runs as the user who owns the folder, and takes the socket that systemd hands over as file descriptor 3.
// Everything that the guest writes, as whatever user, is that user's, since nothing else is allowed to a
// virtiofsd without privileges; in the guest everything is its user's, uid 1000.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"vmsilo/internal/command"
)

// guestUID is the uid and gid of the guest's user.
const guestUID = 1000

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want virtiofsd and a folder, got %q", args)
	}
	words := virtiofsd(args[0], args[1], os.Getuid(), os.Getgid())
	err := syscall.Exec(words[0], words, os.Environ())
	return fmt.Errorf("starting %q: %w", words[0], err)
}

// virtiofsd returns the command that shares folder from a process of the given uid and gid.
func virtiofsd(program, folder string, uid, gid int) []string {
	squash := func(id int) string { return "squash-guest:0:" + strconv.Itoa(id) + ":4294967295" }
	return []string{
		program, "--fd=3", "--shared-dir=" + folder,
		// The unit is the sandbox: virtiofsd's own would need privileges to build.
		"--sandbox=none",
		"--translate-uid=" + squash(uid), "--translate-gid=" + squash(gid),
	}
}
