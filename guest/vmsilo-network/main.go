// Vmsilo-network tells systemd-networkd and systemd-resolved what the configuration says of the VM's network.
//
// Synopsis:
//
//	vmsilo-network
//
// It runs in the root before both of them. For each vmsilo.ifname of the kernel command line it writes
// /run/systemd/network/70-vmsilo-IFNAME.network with the addresses, gateways and MTU of the other parameters, and for
// vmsilo.dns /run/systemd/resolved.conf.d/70-vmsilo.conf. With vmsilo.clients, resolved answers on that interface, and
// /run/vmsilo/router.nft holds what vmsilo-router.service gives to nft(8). It waits for nothing.
package main

import (
	"errors"
	"os"

	"vmsilo/guest/internal/atomicfile"
	"vmsilo/guest/internal/cmdline"
	"vmsilo/internal/command"
)

const (
	networkDir  = "/run/systemd/network"
	resolvedDir = "/run/systemd/resolved.conf.d"
	rulesDir    = "/run/vmsilo"
)

func main() {
	command.Main(func([]string) error { return run(cmdline.Load, networkDir, resolvedDir, rulesDir) })
}

// run writes all that it can, also after an error.
func run(load func() (cmdline.Params, error), networkDir, resolvedDir, rulesDir string) error {
	params, err := load()
	if err != nil {
		return err
	}
	var errs []error
	for rank, i := range params.Interfaces {
		errs = append(errs, write(networkDir, "70-vmsilo-"+i.Name+".network", network(i, rank)))
	}
	clients := params.Interface(params.Clients)
	if len(params.DNS) > 0 || clients != nil {
		errs = append(errs, write(resolvedDir, "70-vmsilo.conf", resolved(params.DNS, clients)))
	}
	if clients != nil {
		errs = append(errs, write(rulesDir, "router.nft", rules(clients.Name)))
	}
	return errors.Join(errs...)
}

// write makes a file that the daemons, which are not root, can read.
func write(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.Write(dir, name, []byte(text), 0o644)
}
