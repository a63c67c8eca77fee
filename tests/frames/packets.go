// Package frames makes what a guest sends: what it may send, and attacks. The tests of vmsilo-netdev send it through a TAP,
// and the scenario "attacks" has a real guest send it.
package frames

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Broadcast is the MAC address of everybody.
var Broadcast = net.HardwareAddr{255, 255, 255, 255, 255, 255}

// minFrame is the length of the shortest frame, in bytes, without its checksum: IEEE 802.3.
const minFrame = 60

// Frame returns an Ethernet frame of a type.
func Frame(source, destination net.HardwareAddr, kind uint16, payload ...[]byte) []byte {
	frame := append(append([]byte{}, destination...), source...)
	frame = binary.BigEndian.AppendUint16(frame, kind)
	frame = append(frame, bytes.Join(payload, nil)...)
	return append(frame, make([]byte, max(0, minFrame-len(frame)))...)
}

// ARP returns a request or, with operation 2, an answer: RFC 826.
func ARP(operation byte, mac net.HardwareAddr, sender, target string) []byte {
	return bytes.Join([][]byte{{0, 1, 8, 0, 6, 4, 0, operation}, mac, IP(sender), make([]byte, 6), IP(target)}, nil)
}

// IP returns the 4 or 16 bytes of an address.
func IP(text string) []byte { return netip.MustParseAddr(text).AsSlice() }

// Packet is an IPv4 or IPv6 packet of a protocol, with the checksums that the kernel wants.
func Packet(source, destination string, protocol byte, payload []byte) []byte {
	payload = bytes.Clone(payload)
	if at := map[byte]int{unix.IPPROTO_UDP: 6, unix.IPPROTO_TCP: 16, unix.IPPROTO_ICMPV6: 2}[protocol]; at > 0 {
		pseudo := bytes.Join([][]byte{IP(source), IP(destination), {0, protocol, byte(len(payload) >> 8), byte(len(payload))}}, nil)
		copy(payload[at:], checksum(append(pseudo, payload...)))
	} else if protocol == unix.IPPROTO_ICMP {
		copy(payload[2:], checksum(payload))
	}
	if netip.MustParseAddr(source).Is6() {
		header := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), protocol, 255}
		return bytes.Join([][]byte{header, IP(source), IP(destination), payload}, nil)
	}
	length := 20 + len(payload)
	header := append([]byte{0x45, 0, byte(length >> 8), byte(length), 0, 1, 0, 0, 64, protocol, 0, 0}, append(IP(source), IP(destination)...)...)
	copy(header[10:], checksum(header))
	return append(header, payload...)
}

func checksum(data []byte) []byte {
	var sum uint32
	for i, b := range data {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return binary.BigEndian.AppendUint16(nil, ^uint16(sum))
}

// UDP returns a datagram, whose checksum is Packet's to make.
func UDP(source, destination uint16, payload string) []byte {
	header := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, source), destination)
	return append(append(header, byte((8+len(payload))>>8), byte(8+len(payload)), 0, 0), payload...)
}

// SYN returns what opens a connection.
func SYN(source, destination uint16) []byte {
	header := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, source), destination)
	return append(header, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0)
}

// KindOf returns the type of Ethernet frames with packets of an address's family.
func KindOf(address string) uint16 {
	if netip.MustParseAddr(address).Is6() {
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}
