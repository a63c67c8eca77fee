// Vmsilo-demand starts a VM that somebody wants to use, and stops one that nobody uses.
//
// Synopsis:
//
//	vmsilo-demand answer
//	vmsilo-demand stop VM
//
// Description:
//
// answer serves one connection, which is its standard input: docs/protocol.md, "Starting a VM". It reads the name of a VM,
// asks systemd for the VM if who asks may start it, waits until it is up, or has failed, and answers with a line. That is
// the VM's user, who is an environment variable of its socket's unit, root, or a member of group vmsilo. Who hangs up
// meanwhile stops nothing. When it was this that started the VM, it makes /run/vmsilo/VM/on-demand, a mark that goes with
// the VM's folder.
//
// stop asks systemd to stop a VM that has this mark. It leaves alone one to which connections are carried or wanted, and
// one that another VM needs which is not at rest.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "answer":
		conn, err := net.FileConn(os.Stdin)
		if err != nil {
			return fmt.Errorf("taking the connection: %w", err)
		}
		asker, ok := conn.(*net.UnixConn)
		if !ok {
			return fmt.Errorf("want a Unix socket as standard input, got one of %s", conn.LocalAddr().Network())
		}
		defer asker.Close()
		return answer(asker, start)
	case len(args) == 2 && args[0] == "stop" && args[1] != "":
		return stop(args[1])
	}
	return fmt.Errorf("want answer, or stop and one VM; got %q", args)
}

// start starts a VM for who asks, if they may.
func start(vm string, by peer) error {
	ctx := context.Background()
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	d := demand{conn, vm}
	user, err := d.user(ctx)
	if err != nil {
		return err
	}
	if may, err := by.mayStart(user, group); err != nil {
		return err
	} else if !may {
		return fmt.Errorf("VM %q belongs to user %s: only that user, root and group %s start it", vm, user, group)
	}
	return d.start(ctx)
}

// stop stops a VM that nobody uses.
func stop(vm string) error {
	ctx := context.Background()
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	if err := (demand{conn, vm}).stop(ctx); err != nil {
		return fmt.Errorf("stopping VM %q while nobody uses it: %w", vm, err)
	}
	return nil
}
