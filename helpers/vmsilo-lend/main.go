// Vmsilo-lend opens the disks of a VM for its VMM, which runs as a user who may not.
//
// Synopsis:
//
//	vmsilo-lend [--idle=DURATION] {ro|rw}=PATH…
//
// Description:
//
// It takes the listening socket that systemd hands over, of type SOCK_SEQPACKET. Whoever connects gets the disks, each
// opened anew and in this order, or why one cannot be opened, as vmsilo's package internal/lending has it, and is left.
// Nothing about a disk is changed, so that nothing has to be taken back: what was lent ends with who has borrowed it. It
// ends when nobody has asked for a while; the next connection starts it again.
//
// A path in /dev is a block device, and may be one of udev's links. Any other is a regular file, and no symbolic link is
// followed on the way: who can write to a folder could lead it to a file that is not theirs.
//
// Options:
//
//	--idle  how long to wait for the next connection; 5s when not given
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"vmsilo/internal/command"
	"vmsilo/internal/lending"
	"vmsilo/internal/listener"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-lend", flag.ContinueOnError)
	idle := flags.Duration("idle", 5*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var disks []disk
	for _, arg := range flags.Args() {
		how, path, ok := strings.Cut(arg, "=")
		if !ok || how != "ro" && how != "rw" {
			return fmt.Errorf("want ro=PATH or rw=PATH, got %q", arg)
		}
		disks = append(disks, disk{path, how == "rw"})
	}
	socket, err := listener.FromSystemd()
	if err != nil {
		return err
	}
	return serve(socket, disks, *idle)
}

// patience is how long a borrower may take to read.
const patience = 10 * time.Second

func serve(socket *net.UnixListener, disks []disk, idle time.Duration) error {
	for {
		if err := socket.SetDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		conn, err := socket.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		err = lend(conn, disks)
		if err := errors.Join(err, conn.Close()); err != nil {
			// The borrower's affair, which may be gone.
			fmt.Fprintln(os.Stderr, "vmsilo-lend: error:", err)
		}
	}
}

// lend sends every disk to who asks.
func lend(to *net.UnixConn, disks []disk) error {
	for _, d := range disks {
		file, err := d.open()
		if err != nil {
			if err := lending.Refuse(to, err); err != nil {
				return err
			}
			continue
		}
		err = lending.Lend(to, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}
