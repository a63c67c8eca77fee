package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"vmsilo/internal/command"
)

// private tells whether the TAP's bridge is that of a netvm and its clients, in which the host has no part.
func (t *tap) private() bool { return t.Router || t.NetVM != "" }

// bridgeTable is the table of what the host hears of a netvm's bridge.
func (t *tap) bridgeTable() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyNetdev, Name: "vmsilo-" + t.Bridge}
}

// deafen adds to a batch that the host hears nothing of the bridge, whatever is sent to its MAC address or to everybody: it
// answers no ARP for its other addresses there, takes nothing, and forwards nothing. What goes from port to port does not
// come by here.
func (t *tap) deafen(c *nftables.Conn) {
	if _, err := netlink.LinkByName(t.Bridge); err != nil {
		// Somebody has removed it.
		return
	}
	table := replaceTable(c, nftables.TableFamilyNetdev, t.bridgeTable().Name)
	baseChain(c, nftables.Chain{
		Name: "ingress", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress, Device: t.Bridge,
	}, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
}

// isLast tells whether nobody else's TAP is a port of a netvm's bridge.
func (t *tap) isLast(others map[string]*tap) bool {
	_, other := t.another(others)
	return t.private() && other == nil
}

// checkOurs finds a bridge of a netvm's name that somebody else has made, or that has somebody else's TAP.
func (t *tap) checkOurs(folder string) error {
	others, err := readAll(folder, "")
	if err != nil {
		return err
	}
	ours := false
	for record, other := range others {
		if other.Bridge == t.Bridge && !other.private() {
			return fmt.Errorf("bridge %q is in use by %q, which is no client of the netvm", t.Bridge, filepath.Base(record))
		}
		ours = ours || other.Bridge == t.Bridge && other.MadeBridge
	}
	if ours {
		return nil
	}
	return command.Errorf("remove or rename it: ip link delete "+t.Bridge, "an interface %q is there and is not vmsilo's", t.Bridge)
}

// checkNetVM finds that a client's netvm is not on the bridge.
func (t *tap) checkNetVM(bridge netlink.Link) error {
	if t.NetVM == "" {
		return nil
	}
	link, err := netlink.LinkByName(t.netvmTAP)
	if err == nil && link.Attrs().MasterIndex == bridge.Attrs().Index {
		return nil
	} else if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return err
	}
	return command.Errorf("if it is up, it was started before it had clients: systemctl restart vmsilo@"+t.NetVM+"; else: vmsilo why "+t.NetVM,
		"netvm %q is not there: its TAP %q is no port of bridge %q", t.NetVM, t.netvmTAP, t.Bridge)
}
