// Vmsilo-netvm tells a netvm's clients apart from who else has started it, and stops it after the last of them.
//
// Synopsis:
//
//	vmsilo-netvm join CLIENT:NETVM
//	vmsilo-netvm leave CLIENT:NETVM
//
// Description:
//
// Each client has a unit, vmsilo-netvm@CLIENT:NETVM.service, which is active while the client has the netvm. It starts before
// the netvm does, which systemd starts for the client, and join leaves a mark, /run/vmsilo/.netvm/NETVM, when nobody had
// started the netvm by then. A netvm that is just being stopped, since it had no client, is started again.
//
// leave removes the mark after the last client, and has systemd stop the netvm if there was one, unless something else wants
// it that is active, such as a VM that depends on it, or the target of those that start at boot. It does not wait for the end. A
// client that is restarted does not leave.
package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want join or leave, and CLIENT:NETVM; got %q", args)
	}
	client, netvm, _ := strings.Cut(args[1], ":")
	if client == "" || netvm == "" {
		return fmt.Errorf("want CLIENT:NETVM, got %q", args[1])
	}
	do := map[string]func(*link, context.Context) error{"join": (*link).join, "leave": (*link).leave}[args[0]]
	if do == nil {
		return fmt.Errorf("want join or leave, got %q", args[0])
	}
	ctx := context.Background()
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	l := &link{conn: conn, client: client, netvm: netvm, folder: paths.NetVMs}
	if err := do(l, ctx); err != nil {
		return fmt.Errorf("netvm %q of VM %q: %w", netvm, client, err)
	}
	return nil
}
