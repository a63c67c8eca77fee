package frames

import (
	"bytes"
	"net"

	"golang.org/x/sys/unix"
)

// collector makes frames to everybody that hold their names.
type collector struct {
	place  string
	frames []Named
}

// mark is what a frame of that name holds.
func (c *collector) mark(name string) string { return Begin + c.place + name + End }

func (c *collector) add(name string, frame []byte) {
	c.frames = append(c.frames, Named{c.place + name, frame})
}

// ip adds a packet, which holds the mark already.
func (c *collector) ip(name string, mac net.HardwareAddr, source, destination string, protocol byte, payload []byte) {
	c.add(name, Frame(mac, Broadcast, KindOf(source), Packet(source, destination, protocol, payload)))
}

func (c *collector) udp(name string, mac net.HardwareAddr, source, destination string) {
	c.ip(name, mac, source, destination, unix.IPPROTO_UDP, UDP(1000, 7, c.mark(name)))
}

// arp adds a message that the mark follows.
func (c *collector) arp(name string, mac net.HardwareAddr, message []byte) {
	c.add(name, Frame(mac, Broadcast, unix.ETH_P_ARP, message, []byte(c.mark(name))))
}

// nd adds a message of neighbour discovery that has one option more.
func (c *collector) nd(name string, mac net.HardwareAddr, source, destination string, message []byte) {
	c.ip(name, mac, source, destination, unix.IPPROTO_ICMPV6, append(message, c.option(name)...))
}

// option is the mark as an option for experiments: RFC 4727, section 5.1.3. Its length is in units of eight bytes.
func (c *collector) option(name string) []byte {
	option := append([]byte{253, 0}, c.mark(name)...)
	option = append(option, make([]byte, (8-len(option)%8)%8)...)
	option[1] = byte(len(option) / 8)
	return option
}

// options is a header of IPv6 before ICMPv6 that holds the mark as what fills it up: RFC 8200, sections 4.2 and 4.6.
func (c *collector) options(name string) []byte {
	mark := c.mark(name)
	header := append([]byte{unix.IPPROTO_ICMPV6, 0, 1, 0}, mark...)
	header = append(header, make([]byte, (8-len(header)%8)%8)...)
	header[1], header[3] = byte(len(header)/8-1), byte(len(header)-4)
	return header
}

// Types of ICMPv6: RFC 4861.
const (
	routerAdvert     = 134
	neighbourSolicit = 135
	neighbourAdvert  = 136
	redirect6        = 137
)

// about is a message of neighbour discovery about an address.
func about(kind byte, target string) []byte {
	return bytes.Join([][]byte{{kind, 0, 0, 0, 0x20, 0, 0, 0}, IP(target)}, nil)
}

// LinkLocal returns the address that Linux makes of a MAC address: RFC 4291, appendix A.
func LinkLocal(m net.HardwareAddr) string {
	return net.IP{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]}.String()
}

// Solicited returns the group in which the owner of an address hears that it is looked for: RFC 4291, section 2.7.1.
func Solicited(address string) string {
	return net.IP(append(IP("ff02::1:ff00:0")[:13], IP(address)[13:]...)).String()
}
