package main

import (
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dns is the port of name servers.
const dns = 53

// beforeOthers makes a guest's question for a name ours before somebody else's rules see it.
const beforeOthers = -5

// A firewall is the table "inet vmsilo": what guests reach through the host's own network. It is a function of what is
// recorded, and written anew at each change, so that nothing in it can be left over.
type firewall struct {
	taps []*tap
	// links are all interfaces that the host has.
	links      []netlink.Link
	forwarding forwarding
	// servers are the host's name servers, one of each family at most.
	servers []netip.Addr

	c     *nftables.Conn
	table *nftables.Table
	sets  sets
}

// write adds the whole table to a batch, or that there is none when there are no TAPs.
func (f *firewall) write(c *nftables.Conn) error {
	f.c = c
	if len(f.taps) == 0 {
		deleteTable(c, &nftables.Table{Family: nftables.TableFamilyINet, Name: "vmsilo"})
		return nil
	}
	f.table = replaceTable(c, nftables.TableFamilyINet, "vmsilo")
	if err := f.addSets(); err != nil {
		return err
	}
	f.input()
	f.forward()
	if slices.ContainsFunc(f.taps, func(t *tap) bool { return t.NAT }) {
		f.translate()
	}
	return nil
}

// ours tells whether vmsilo made an interface.
func (f *firewall) ours(name string) bool {
	return slices.ContainsFunc(f.taps, func(t *tap) bool { return t.Name == name || t.MadeBridge && t.Bridge == name })
}

// others returns the names of the interfaces that others have made, but for loopback.
func (f *firewall) others() (names []string) {
	for _, link := range f.links {
		if a := link.Attrs(); a.Flags&net.FlagLoopback == 0 && !f.ours(a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

// chain adds a chain that the kernel calls at a hook, and that lets through what no rule of it stops.
func (f *firewall) chain(name string, hook *nftables.ChainHook, kind nftables.ChainType, priority nftables.ChainPriority) *nftables.Chain {
	return baseChain(f.c, nftables.Chain{Name: name, Table: f.table, Type: kind, Hooknum: hook}, priority, nftables.ChainPolicyAccept)
}

// input is what guests reach of the host: what it asked them for, neighbour discovery, their host_ports, and names.
func (f *firewall) input() {
	host := f.c.AddChain(&nftables.Chain{Name: "host", Table: f.table})
	rule(f.c, host, known, accept)
	rule(f.c, host, icmp6(neighbourSolicit), accept)
	rule(f.c, host, icmp6(neighbourAdvert), accept)
	rule(f.c, host, match{
		&expr.Payload{DestRegister: reg, Base: ether, Offset: etherSource, Len: 6},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg32 + 2},
		&expr.Payload{DestRegister: reg32 + 3, Base: transport, Offset: destinationPort, Len: 2},
		in(f.sets.ports),
	}, accept)
	for _, p := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		names := append(protocol(p), field(transport, destinationPort, port(dns)...)...)
		rule(f.c, host, ifnameIn(from, f.sets.nat), names, redirected, accept)
		// There is no name server of this family: the guest goes on to the next at once.
		rule(f.c, host, ifnameIn(from, f.sets.nat), names, refuse)
	}
	rule(f.c, host, drop)

	input := f.chain("input", nftables.ChainHookInput, nftables.ChainTypeFilter, *nftables.ChainPriorityFilter)
	rule(f.c, input, ifnameIn(from, f.sets.taps), jump(host))
	rule(f.c, input, senderIn(f.sets.bridged), jump(host))
}

// forward is what the host forwards from and to guests. What it lets through, others' chains may still stop.
func (f *firewall) forward() {
	routed := f.c.AddChain(&nftables.Chain{Name: "routed", Table: f.table})
	rule(f.c, routed, ifnameNotIn(from, f.sets.nat), drop)
	rule(f.c, routed, ifnameIn(to, f.sets.links), drop)
	f.dropToBridged(routed)
	// A port of the host's that somebody leads elsewhere, as container engines do, is the host's.
	rule(f.c, routed, redirected, otherField(transport, destinationPort, port(dns)...), drop)
	rule(f.c, routed, accept)

	bridged := f.c.AddChain(&nftables.Chain{Name: "bridged", Table: f.table})
	// Back to its own bridge through the host, around the isolation of the ports.
	rule(f.c, bridged, hop(in(f.sets.through)), drop)
	// br_netfilter shows here what a bridge sends from port to port.
	rule(f.c, bridged, bothIn(f.sets.same), accept)
	// The host has no part in those that vmsilo made.
	rule(f.c, bridged, ifnameIn(from, f.sets.links), drop)
	rule(f.c, bridged, ifnameIn(to, f.sets.links), drop)
	f.dropToBridged(bridged)
	rule(f.c, bridged, redirected, drop)

	chain := f.chain("forward", nftables.ChainHookForward, nftables.ChainTypeFilter, *nftables.ChainPriorityFilter)
	rule(f.c, chain, ifnameIn(from, f.sets.taps), jump(routed))
	rule(f.c, chain, senderIn(f.sets.bridged), jump(bridged))
	// As above. What the host forwards from a bridge to the same has to pass what follows.
	rule(f.c, chain, bothIn(f.sets.same), hop(notIn(f.sets.through)), accept)
	rule(f.c, chain, ifnameIn(to, f.sets.taps), known, accept)
	rule(f.c, chain, ifnameIn(to, f.sets.taps), drop)
	// For the answers to guests, the host forwards what it did not before: nothing else gets through.
	rule(f.c, chain, family(unix.NFPROTO_IPV4), ifnameIn(from, f.sets.opened4), unknown, notRedirected, drop)
	opened6 := ifnameIn(from, f.sets.opened6)
	if f.forwarding.V6.All {
		opened6 = ifnameNotIn(from, f.sets.kept6)
	}
	rule(f.c, chain, family(unix.NFPROTO_IPV6), opened6, unknown, notRedirected, drop)
}

// dropToBridged drops packets to guests on bridges. Which of a bridge's ports a packet goes to is known where it leaves it: to
// those whose guests' addresses are not known, nothing with the mark does.
func (f *firewall) dropToBridged(chain *nftables.Chain) {
	rule(f.c, chain, ifnameIn(to, f.sets.unnumbered), setMark)
	rule(f.c, chain, family(unix.NFPROTO_IPV4), fieldIn(network, ip4Destination, 4, f.sets.bridged4), drop)
	rule(f.c, chain, family(unix.NFPROTO_IPV6), fieldIn(network, ip6Destination, 16, f.sets.bridged6), drop)
}

// hop holds when the interface that a packet goes to, with the MAC address of the frame that it came in, is found in a set or is not.
func hop(found expr.Any) match {
	return match{
		&expr.Meta{Key: to, Register: reg},
		&expr.Payload{DestRegister: reg2, Base: ether, Offset: etherDestination, Len: 6},
		found,
	}
}

// bothIn holds when the names of the interfaces that a packet comes from and goes to are together in a set.
func bothIn(set *nftables.Set) match {
	return match{&expr.Meta{Key: from, Register: reg}, &expr.Meta{Key: to, Register: reg2}, in(set)}
}

// translate has guests that may use the host's network do so under the host's own addresses, and ask its name servers.
func (f *firewall) translate() {
	source := f.chain("postrouting", nftables.ChainHookPostrouting, nftables.ChainTypeNAT, *nftables.ChainPriorityNATSource)
	rule(f.c, source, ifnameIn(from, f.sets.nat), match{&expr.Masq{}})

	names := f.chain("prerouting", nftables.ChainHookPrerouting, nftables.ChainTypeNAT, *nftables.ChainPriorityNATDest+beforeOthers)
	for _, server := range f.servers {
		number := byte(unix.NFPROTO_IPV4)
		if server.Is6() {
			number = unix.NFPROTO_IPV6
		}
		for _, p := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			rule(f.c, names, ifnameIn(from, f.sets.nat), family(number), protocol(p),
				field(transport, destinationPort, port(dns)...), toHost, match{
					&expr.Immediate{Register: reg, Data: server.AsSlice()},
					&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(number), RegAddrMin: reg},
				})
		}
	}
}
