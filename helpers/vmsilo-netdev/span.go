package main

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// span is the addresses from one to another, both included.
type span struct{ first, last netip.Addr }

// own returns the addresses that a guest may send from: those that it was given, and the link-local one that the kernel
// makes of its MAC address; or else what the host's network on the link has beside the host. One that has neither is told
// its addresses by somebody else, and may have any.
func (t *tap) own() (spans []span) {
	for _, address := range t.Addresses {
		spans = append(spans, span{address.Addr(), address.Addr()})
	}
	if t.Addresses != nil {
		return append(spans, span{t.linkLocal(), t.linkLocal()})
	}
	for _, host := range t.HostAddresses {
		spans = append(spans, without([]span{{host.Masked().Addr(), lastOf(host)}}, host.Addr())...)
	}
	anyLinkLocal := span{netip.MustParseAddr("fe80::2"), lastOf(netip.MustParsePrefix("fe80::/10"))}
	if t.HostAddresses != nil {
		return append(spans, anyLinkLocal)
	}
	return append(append(spans, anyLinkLocal), anywhere...)
}

// anywhere is all addresses that one host can have, but for those of a single link.
var anywhere = []span{
	{netip.MustParseAddr("1.0.0.0"), netip.MustParseAddr("126.255.255.255")},
	{netip.MustParseAddr("128.0.0.0"), netip.MustParseAddr("223.255.255.255")},
	{netip.MustParseAddr("2000::"), lastOf(netip.MustParsePrefix("2000::/3"))},
	{netip.MustParseAddr("fc00::"), lastOf(netip.MustParsePrefix("fc00::/7"))},
}

// hosts returns the addresses that the host has on the bridge of a TAP, which are not for a guest that may choose.
func (t *tap) hosts() (hosts []netip.Addr, err error) {
	bridge, err := netlink.LinkByName(t.Bridge)
	if err != nil || t.Addresses != nil {
		// Without an error: there may be no bridge, or somebody may have removed it.
		return nil, nil
	}
	addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(bridge, netlink.FAMILY_ALL) })
	for _, a := range addresses {
		ip, _ := netip.AddrFromSlice(a.IP)
		hosts = append(hosts, ip.Unmap())
	}
	return hosts, err
}

// without returns spans that have all of the given but an address.
func without(spans []span, a netip.Addr) (rest []span) {
	for _, s := range spans {
		if a.BitLen() != s.first.BitLen() || a.Less(s.first) || s.last.Less(a) {
			rest = append(rest, s)
			continue
		}
		if s.first.Less(a) {
			rest = append(rest, span{s.first, a.Prev()})
		}
		if a.Less(s.last) {
			rest = append(rest, span{a.Next(), s.last})
		}
	}
	return rest
}

// linkLocal returns the address that Linux makes of the guest's MAC address: RFC 4291, appendix A.
func (t *tap) linkLocal() netip.Addr {
	m := t.mac()
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// addSpans adds a set of the spans of one family. The kernel has the end of an interval outside of it.
func addSpans(c *nftables.Conn, table *nftables.Table, name string, keyType nftables.SetDatatype, spans []span) (*nftables.Set, error) {
	var elements []nftables.SetElement
	for _, s := range spans {
		if s.first.BitLen() == int(keyType.Bytes)*8 {
			elements = append(elements, nftables.SetElement{Key: s.first.AsSlice()},
				nftables.SetElement{Key: s.last.Next().AsSlice(), IntervalEnd: true})
		}
	}
	return addElements(c, &nftables.Set{Table: table, Name: name, KeyType: keyType, Interval: true}, elements)
}
