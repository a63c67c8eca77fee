// Vmsilo-ready tells the host that the guest is up.
//
// Synopsis:
//
//	vmsilo-ready
//
// It waits until every interface of vmsilo.ifname has its name, the addresses of vmsilo.address and the routes of
// vmsilo.gateway, connects to vsock port 5001 of the host, sends READY=1 and waits for the host to close the connection.
// That the root, the home directory and the shares are in place is its unit's to know. If one of these does not come, it
// fails and sends nothing: what the guest was told to have it does not have.
//
// A malformed parameter is no reason to be silent. Nothing waits for what it may have meant, it has been reported on
// the console, and a guest that the host gives up on could not be looked at.
package main

import (
	"context"
	"time"

	"vmsilo/guest/internal/cmdline"
	"vmsilo/internal/command"
)

func main() {
	command.Main(func([]string) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return run(ctx, cmdline.Load, awaitInterfaces, sendReady)
	})
}

// patience bounds the whole command. The host has a time of its own, start_timeout; this one leaves a line in the
// guest's journal that says what was missing.
const patience = 60 * time.Second

func run(
	ctx context.Context,
	load func() (cmdline.Params, error),
	await func(context.Context, []cmdline.Interface) error,
	send func(context.Context) error,
) error {
	params, err := load()
	if err != nil {
		return err
	}
	if err := await(ctx, params.Interfaces); err != nil {
		return err
	}
	return send(ctx)
}
