// Vmsilo-demand starts a VM that somebody wants to use, and stops one that nobody uses.
//
// Synopsis:
//
//	vmsilo-demand answer INSTANCE
//	vmsilo-demand stop VM
//
// Description:
//
// answer serves one connection, which is its standard input: docs/protocol.md, "Starting a VM". It reads the name of a VM,
// asks systemd for the VM if who asks may start it, waits until it is up, or has failed, and answers with a line. That is
// the VM's user, who is an environment variable of its socket's unit, root, or a member of group vmsilo. Who hangs up
// meanwhile stops nothing. When it was this that started the VM, it leaves a mark, /run/vmsilo/.on-demand/VM, which
// is vmsilo-down's to remove, and one for each VM that it needs and that was started with it.
//
// INSTANCE is that of its unit: it drops without a word who asks while 64 of the same user do who came before.
//
// stop asks systemd to stop a VM that has this mark. It leaves alone one to which somebody is or will be connected, and
// one that another VM needs which is not at rest, and has vmsilo-idle@VM.timer begin anew. Who comes after it has looked for the last time finds the VM's socket
// gone, asks for the VM, and has its next start.
//
// systemctl daemon-reexec, which cuts it off from systemd, has either of them ask again.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "answer" && args[1] != "":
		conn, err := net.FileConn(os.Stdin)
		if err != nil {
			return fmt.Errorf("taking the connection: %w", err)
		}
		asker, ok := conn.(*net.UnixConn)
		if !ok {
			return fmt.Errorf("want a Unix socket as standard input, got one of %s", conn.LocalAddr().Network())
		}
		defer asker.Close()
		by, err := peerOf(asker)
		if err != nil {
			return err
		}
		if many, err := tooMany(args[1], by); err != nil || many {
			return err
		}
		return answer(asker, by, start)
	case len(args) == 2 && args[0] == "stop" && args[1] != "":
		return stop(args[1])
	}
	return fmt.Errorf("want answer and an instance, or stop and one VM; got %q", args)
}

// start starts a VM for who asks, if they may.
func start(vm string, by peer) error {
	d := demand{vm: vm}
	return d.insist(func(ctx context.Context) error { return d.startFor(ctx, by) })
}

// stop stops a VM that nobody uses.
func stop(vm string) error {
	d := demand{vm: vm}
	if err := d.insist(d.stop); err != nil {
		return fmt.Errorf("stopping VM %q while nobody uses it: %w", vm, err)
	}
	return nil
}
