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
// meanwhile stops nothing. When it was this that started the VM, it leaves a mark, /run/vmsilo/.on-demand/VM, which is
// vmsilo-down's to remove. systemctl daemon-reexec, which cuts it off from systemd, has it ask again.
//
// stop asks systemd to stop a VM that has this mark. It leaves alone one to which connections are carried or wanted, and
// one that another VM needs which is not at rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

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

// start starts a VM for who asks, if they may. A systemd that has gone on in a new process by the end is asked again.
func start(vm string, by peer) error {
	d := demand{vm: vm}
	for {
		err := d.connected(func(ctx context.Context) error { return d.startFor(ctx, by) })
		if !errors.Is(err, errCutOff) {
			return err
		}
	}
}

// stop stops a VM that nobody uses.
func stop(vm string) error {
	d := demand{vm: vm}
	if err := d.connected(d.stop); err != nil {
		return fmt.Errorf("stopping VM %q while nobody uses it: %w", vm, err)
	}
	return nil
}
