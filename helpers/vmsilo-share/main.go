// Vmsilo-share becomes virtiofsd for one folder.
//
// Synopsis:
//
//	vmsilo-share [--tag=TAG] VIRTIOFSD FOLDER RECORD
//
// Description:
//
// It runs as the user who owns the folder, and takes the socket that systemd hands over as file descriptor 3.
// Everything that the guest writes, as whatever user, is that user's, since a virtiofsd without privileges can be
// nobody else; in the guest everything of that user is the guest's user's.
//
// RECORD says which folder vmsilo-home has seen at that path. Another one is not shared.
//
// Options:
//
//	--tag  the name under which the guest finds the folder, for a VMM that does not tell the guest by itself: crosvm asks
//	       virtiofsd, QEMU and cloud-hypervisor do not
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/identity"
)

const (
	// guestID is the uid and gid of the guest's user.
	guestID = 1000
	// allIDs is how many uids there are: all but -1, which stands for none.
	allIDs = 1<<32 - 1
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-share", flag.ContinueOnError)
	tag := flags.String("tag", "", "the name under which the guest finds the folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	if len(args) != 3 || args[1] == "" {
		return fmt.Errorf("want virtiofsd, a folder and its record, got %q", args)
	}
	if err := recognise(args[1], args[2]); err != nil {
		return fmt.Errorf("sharing %q: %w", args[1], err)
	}
	words := virtiofsd(args[0], args[1], os.Getuid(), os.Getgid())
	if *tag != "" {
		words = append(words, "--tag="+*tag)
	}
	err := syscall.Exec(words[0], words, os.Environ())
	return fmt.Errorf("starting %q: %w", words[0], err)
}

// recognise fails when folder is not the one of the record.
func recognise(folder, record string) error {
	want, err := os.ReadFile(record)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return err
	}
	if !bytes.Equal(identity.Of(&st), want) {
		return errors.New("this is not the folder that was there when the VM started")
	}
	return nil
}

// virtiofsd returns the command that shares folder from a process of the given uid and gid.
func virtiofsd(program, folder string, uid, gid int) []string {
	return []string{
		program, "--fd=3", "--shared-dir=" + folder,
		// The unit is the sandbox: virtiofsd's own would need privileges to build.
		"--sandbox=none",
		toHost("uid", uid), toGuest("uid", uid),
		toHost("gid", gid), toGuest("gid", gid),
	}
}

// toHost makes every id of the guest the host's.
func toHost(kind string, id int) string {
	return fmt.Sprintf("--translate-%s=squash-guest:0:%d:%d", kind, id, uint32(allIDs))
}

// toGuest shows the host's id as that of the guest's user.
func toGuest(kind string, id int) string {
	return fmt.Sprintf("--translate-%s=host:%d:%d:1", kind, id, guestID)
}
