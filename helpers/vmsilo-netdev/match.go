package main

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A match is part of a rule, in the terms of nft(8). All of a rule's parts have to hold for the next to be looked at.
type match []expr.Any

// rule adds a rule to the end of a chain.
func rule(c *nftables.Conn, chain *nftables.Chain, parts ...match) {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: all})
}

// The registers that values are loaded into: the first of 16 bytes, and the quarters of the same.
const (
	reg   = unix.NFT_REG_1
	reg2  = unix.NFT_REG_2
	reg32 = unix.NFT_REG32_00
)

// Headers, and where in them the fields are: linux/if_ether.h, RFC 826, RFC 791, RFC 8200, RFC 4861.
const (
	ether     = expr.PayloadBaseLLHeader
	network   = expr.PayloadBaseNetworkHeader
	transport = expr.PayloadBaseTransportHeader

	etherDestination, etherSource, etherType = 0, 6, 12
	arpSenderMAC, arpSender, arpTarget       = 8, 14, 24
	ip4Source, ip4Destination                = 12, 16
	ip6Source, ip6Destination                = 8, 24
	ndTarget                                 = 8
	destinationPort                          = 2
)

func load(base expr.PayloadBase, offset, length int) match {
	return match{&expr.Payload{DestRegister: reg, Base: base, Offset: uint32(offset), Len: uint32(length)}}
}

// field holds when the bytes at an offset are these.
func field(base expr.PayloadBase, offset int, want ...byte) match {
	return append(load(base, offset, len(want)), &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: want})
}

// otherField holds when the bytes at an offset are others.
func otherField(base expr.PayloadBase, offset int, want ...byte) match {
	return append(load(base, offset, len(want)), &expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: want})
}

// fieldWithin holds when the bytes at an offset begin with a prefix.
func fieldWithin(base expr.PayloadBase, offset int, prefix netip.Prefix) match {
	address := prefix.Addr().AsSlice()
	mask := make([]byte, len(address))
	for bit := range prefix.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return append(load(base, offset, len(address)),
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: address})
}

// fieldIn holds when the bytes at an offset are in a set.
func fieldIn(base expr.PayloadBase, offset, length int, set *nftables.Set) match {
	return append(load(base, offset, length), in(set))
}

func in(set *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: reg, SetName: set.Name, SetID: set.ID}
}

func notIn(set *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: reg, SetName: set.Name, SetID: set.ID, Invert: true}
}

// metaIs holds when something about the packet is what is wanted.
func metaIs(key expr.MetaKey, want ...byte) match {
	return match{&expr.Meta{Key: key, Register: reg}, &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: want}}
}

// protocol holds for packets of a protocol above IP, also behind IPv6's further headers.
func protocol(number byte) match { return metaIs(expr.MetaKeyL4PROTO, number) }

// otherProtocol holds for packets of other protocols, where that can be told.
func otherProtocol(number byte) match {
	return match{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{number}},
	}
}

// laterFragment holds for fragments of IPv6 packets but the first: their offset is not 0. RFC 8200, section 4.5.
var laterFragment = match{
	&expr.Exthdr{DestRegister: reg, Type: unix.IPPROTO_FRAGMENT, Offset: 2, Len: 2, Op: expr.ExthdrOpIpv6},
	&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 2, Mask: []byte{0xff, 0xf8}, Xor: make([]byte, 2)},
	&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 2)},
}

// icmp6 holds for a type of ICMPv6.
func icmp6(kind byte) match {
	return append(protocol(unix.IPPROTO_ICMPV6), field(transport, 0, kind)...)
}

// family holds for packets of unix.NFPROTO_IPV4 or unix.NFPROTO_IPV6.
func family(number byte) match { return metaIs(expr.MetaKeyNFPROTO, number) }

// ifnameIn holds when the name of the interface that a packet comes from or goes to is in a set.
func ifnameIn(key expr.MetaKey, set *nftables.Set) match {
	return match{&expr.Meta{Key: key, Register: reg}, in(set)}
}

func ifnameNotIn(key expr.MetaKey, set *nftables.Set) match {
	return match{&expr.Meta{Key: key, Register: reg}, notIn(set)}
}

const (
	from = expr.MetaKeyIIFNAME
	to   = expr.MetaKeyOIFNAME
)

// senderIn holds when the MAC address of the last hop is in a set.
func senderIn(set *nftables.Set) match { return fieldIn(ether, etherSource, 6, set) }

// ifname is a name as the kernel compares it.
func ifname(name string) []byte {
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

// port is a port as it is in a packet.
func port(number uint16) []byte { return binary.BigEndian.AppendUint16(nil, number) }

// withBits holds when any of the bits of what was loaded is set, and withoutBits when none is.
func withBits(value expr.Any, bits uint32) match { return bitsOf(value, bits, expr.CmpOpNeq) }

func withoutBits(value expr.Any, bits uint32) match { return bitsOf(value, bits, expr.CmpOpEq) }

func bitsOf(value expr.Any, bits uint32, op expr.CmpOp) match {
	return match{
		value,
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg, Data: make([]byte, 4)},
	}
}

// known holds for packets of a connection that was let through before, and for errors about one.
var (
	known   = withBits(&expr.Ct{Key: expr.CtKeySTATE, Register: reg}, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	unknown = withoutBits(&expr.Ct{Key: expr.CtKeySTATE, Register: reg}, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
)

// ipsDNAT is IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const ipsDNAT = 1 << 5

// redirected holds when the packet's connection was sent to another destination than its first packet had.
var (
	redirected    = withBits(&expr.Ct{Key: expr.CtKeySTATUS, Register: reg}, ipsDNAT)
	notRedirected = withoutBits(&expr.Ct{Key: expr.CtKeySTATUS, Register: reg}, ipsDNAT)
)

// forwarded is the bit of a packet's mark that tells where it leaves a bridge that the host forwards it for a guest. Marks are the host's,
// and others have theirs: Kubernetes 0xc000, CNI and Podman 0x2000, Cilium 0x0f00, and Calico and Tailscale those above 0xffff.
const forwarded = 0x1000

// setMark sets the bit, and marked holds where it is set.
var (
	setMark = match{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		&expr.Bitwise{
			SourceRegister: reg, DestRegister: reg, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(^uint32(forwarded)), Xor: binaryutil.NativeEndian.PutUint32(forwarded),
		},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg},
	}
	marked = withBits(&expr.Meta{Key: expr.MetaKeyMARK, Register: reg}, forwarded)
)

// toHost holds for packets to an address of the host.
var toHost = match{
	&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagDADDR: true},
	&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
}

// What becomes of a packet.
var (
	accept = match{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop   = match{&expr.Verdict{Kind: expr.VerdictDrop}}
	// refuse tells the sender that nobody listens.
	refuse = match{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}}
)

func jump(chain *nftables.Chain) match {
	return match{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain.Name}}
}
