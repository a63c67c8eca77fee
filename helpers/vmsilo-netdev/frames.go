package main

import (
	"errors"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Types of ICMP and ICMPv6: RFC 792, RFC 4861, RFC 3810.
const (
	icmpRedirect       = 5
	routerAdvert       = 134
	neighbourSolicit   = 135
	neighbourAdvert    = 136
	redirect6          = 137
	listenerReport     = 143
	dhcpClient         = 68
	dhcpServer         = 67
	loopback4          = "127.0.0.0/8"
	allLinkMulticasts6 = "ff02::/16"
)

// frameTable is the table of what may come out of one TAP. It is its own, so that it comes and goes with the TAP.
func (t *tap) frameTable() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyNetdev, Name: "vmsilo-" + t.Name}
}

// filter adds to a batch what may come out of a TAP, and what the host hears of its bridge.
func (t *tap) filter(c *nftables.Conn) error {
	if t.private() {
		t.deafen(c)
	}
	return t.filterFrames(c)
}

// filterFrames adds to a batch what may come out of a TAP: ARP, IPv4 and IPv6, from the guest's MAC address and its own
// addresses, and no claim about anybody else's. It holds for every frame before anything of the host has seen it: the
// kernel's routing, a bridge, and connection tracking.
//
// What a guest says about its own addresses is not looked at further: a wrong MAC address there harms itself alone.
func (t *tap) filterFrames(c *nftables.Conn) error {
	table := replaceTable(c, nftables.TableFamilyNetdev, t.frameTable().Name)
	own := t.own()
	hosts, err := t.hosts()
	if err != nil {
		return err
	}
	for _, a := range hosts {
		own = without(own, a)
	}
	own4, err4 := addSpans(c, table, "own4", nftables.TypeIPAddr, own)
	own6, err6 := addSpans(c, table, "own6", nftables.TypeIP6Addr, own)
	if err := errors.Join(err4, err6); err != nil {
		return err
	}
	from4, from6 := own4, own6
	if t.Router {
		// What it forwards is from anywhere.
		from4, err4 = addSpans(c, table, "from4", nftables.TypeIPAddr, anywhere)
		from6, err6 = addSpans(c, table, "from6", nftables.TypeIP6Addr, append([]span{{t.linkLocal(), t.linkLocal()}}, anywhere...))
		if err := errors.Join(err4, err6); err != nil {
			return err
		}
	}
	chain := baseChain(c, nftables.Chain{
		Name: "ingress", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress, Device: t.Name,
	}, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)

	rule(c, chain, otherField(ether, etherSource, t.mac()...), drop)
	// The type is read from the frame. The kernel's own idea of it leaves out a VLAN's tag, which a bridge would send on.
	arp := field(ether, etherType, 0x08, 0x06)
	ip4 := field(ether, etherType, 0x08, 0x00)
	ip6 := field(ether, etherType, 0x86, 0xdd)

	// Ethernet and IPv4, and the lengths of their addresses.
	arp = append(arp, field(network, 0, 0, 1, 8, 0, 6, 4)...)
	rule(c, chain, arp, otherField(network, arpSenderMAC, t.mac()...), drop)
	rule(c, chain, arp, fieldIn(network, arpSender, 4, own4), accept)
	// Asking whether somebody has the address already: RFC 5227.
	rule(c, chain, arp, field(network, arpSender, 0, 0, 0, 0), fieldIn(network, arpTarget, 4, own4), accept)

	rule(c, chain, ip4, protocol(unix.IPPROTO_ICMP), field(transport, 0, icmpRedirect), drop)
	rule(c, chain, ip4, fieldWithin(network, ip4Destination, netip.MustParsePrefix(loopback4)), drop)
	rule(c, chain, ip4, fieldIn(network, ip4Source, 4, from4), accept)
	if t.Addresses == nil {
		rule(c, chain, ip4, field(network, ip4Source, 0, 0, 0, 0), protocol(unix.IPPROTO_UDP),
			field(transport, 0, append(port(dhcpClient), port(dhcpServer)...)...), accept)
	}

	// No guest is a router to others: it would have their packets.
	rule(c, chain, ip6, icmp6(routerAdvert), drop)
	rule(c, chain, ip6, icmp6(redirect6), drop)
	rule(c, chain, ip6, icmp6(neighbourAdvert), fieldIn(transport, ndTarget, 16, own6), fieldIn(network, ip6Source, 16, own6), accept)
	rule(c, chain, ip6, icmp6(neighbourAdvert), drop)
	// What it is has to be told in the first fragment, up to the type of ICMP: RFC 7112. A part of a rule that finds nothing to
	// look at does not hold.
	rule(c, chain, ip6, otherProtocol(unix.IPPROTO_ICMPV6), fieldIn(network, ip6Source, 16, from6), accept)
	rule(c, chain, ip6, protocol(unix.IPPROTO_ICMPV6), load(transport, 0, 1), fieldIn(network, ip6Source, 16, from6), accept)
	rule(c, chain, ip6, protocol(unix.IPPROTO_ICMPV6), laterFragment, fieldIn(network, ip6Source, 16, from6), accept)
	// Before it has an address: is it taken, and which groups it listens to: RFC 4862, RFC 3590.
	unspecified := append(field(network, ip6Source, make([]byte, 16)...),
		fieldWithin(network, ip6Destination, netip.MustParsePrefix(allLinkMulticasts6))...)
	rule(c, chain, ip6, unspecified, icmp6(neighbourSolicit), fieldIn(transport, ndTarget, 16, own6), accept)
	rule(c, chain, ip6, unspecified, icmp6(listenerReport), accept)
	t.noDetour(c, table)
	t.shelter(c, table)
	return nil
}

// shelter adds to a batch that a guest on a bridge whose addresses are not known gets nothing of what the host forwards for other
// guests: firewall.dropToBridged.
func (t *tap) shelter(c *nftables.Conn, table *nftables.Table) {
	if !t.unnumbered() {
		return
	}
	chain := baseChain(c, nftables.Chain{
		Name: "egress", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress, Device: t.Name,
	}, *nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	rule(c, chain, marked, drop)
}

// noDetour adds to a batch that nothing comes back to a bridge through the host, around the isolation of its ports. A bridge takes for the
// host what is sent to its MAC address or to that of a port, which change; what is handed on between ports does not come by here, and
// what is for everybody is not forwarded.
func (t *tap) noDetour(c *nftables.Conn, table *nftables.Table) {
	// A netvm's bridge has no way to the host.
	if _, err := netlink.LinkByName(t.Bridge); err != nil || t.private() {
		return
	}
	chain := baseChain(c, nftables.Chain{
		Name: "detour", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress, Device: t.Bridge,
	}, *nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	rule(c, chain, field(ether, etherSource, t.mac()...), metaIs(expr.MetaKeyPKTTYPE, unix.PACKET_HOST), match{
		&expr.Fib{Register: reg, ResultOIFNAME: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: ifname(t.Bridge)},
	}, drop)
}
