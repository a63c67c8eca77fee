package main

import (
	"encoding/binary"

	"github.com/godbus/dbus/v5"
)

// message is a message as far as its header goes. Its body is as it came, and nil where it was too long.
type message struct {
	kind                                   dbus.Type
	flags                                  dbus.Flags
	serial                                 uint32
	path, iface, member, sender, signature string
	order                                  binary.ByteOrder
	body                                   []byte
}

const (
	// fixedHeader is how many bytes each message has before the fields of its header.
	fixedHeader = 16
	// littleEndian and bigEndian are the first byte of a message.
	littleEndian, bigEndian = 'l', 'B'
)

func orderOf(first byte) binary.ByteOrder {
	if first == bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// lengths returns how many bytes there are of fields, with what aligns the body, and of the body.
func lengths(fixed []byte) (fields, body int) {
	order := orderOf(fixed[0])
	return (int(order.Uint32(fixed[12:])) + 7) &^ 7, int(order.Uint32(fixed[4:]))
}

// parse reads a header: "Message Protocol" of the D-Bus specification. One with a field of any type but those that it has is none.
func parse(head []byte) (*message, bool) {
	m := &message{kind: dbus.Type(head[1]), flags: dbus.Flags(head[2]), order: orderOf(head[0])}
	m.serial = m.order.Uint32(head[8:])
	// Of what follows the fields there is less than the next would be aligned by.
	c := cursor{head, fixedHeader, m.order, false}
	end := fixedHeader + int(m.order.Uint32(head[12:]))
	for c.at < end && !c.wrong {
		c.align(8)
		field, kind := c.byte(), c.text(int(c.byte()))
		switch value := c.value(kind); dbus.HeaderField(field) {
		case dbus.FieldPath:
			m.path = value
		case dbus.FieldInterface:
			m.iface = value
		case dbus.FieldMember:
			m.member = value
		case dbus.FieldSender:
			m.sender = value
		case dbus.FieldSignature:
			m.signature = value
		}
	}
	return m, !c.wrong
}

// strings returns the first of a message's arguments, when these are so many strings.
func (m *message) strings(count int) ([]string, bool) {
	c := cursor{m.body, 0, m.order, false}
	all := make([]string, count)
	for n := range all {
		all[n] = c.string()
	}
	return all, !c.wrong
}

// cursor reads what is as on the wire: "Marshaling" of the D-Bus specification. After a fault, all that it returns is empty.
type cursor struct {
	data  []byte
	at    int
	order binary.ByteOrder
	wrong bool
}

func (c *cursor) take(length int) []byte {
	if c.wrong || length < 0 || length > len(c.data)-c.at {
		c.wrong = true
		return nil
	}
	c.at += length
	return c.data[c.at-length : c.at]
}

func (c *cursor) align(to int) { c.take((to - c.at%to) % to) }

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	c.align(4)
	if b := c.take(4); b != nil {
		return c.order.Uint32(b)
	}
	return 0
}

// text reads a text of that many bytes, and the zero byte after it.
func (c *cursor) text(length int) string {
	if b := c.take(length + 1); b != nil {
		return string(b[:length])
	}
	return ""
}

func (c *cursor) string() string { return c.text(int(c.uint32())) }

// value reads a field's value, and returns it when it is a text.
func (c *cursor) value(kind string) string {
	switch kind {
	case "o", "s":
		return c.string()
	case "g":
		return c.text(int(c.byte()))
	case "u":
		c.uint32()
	default:
		c.wrong = true
	}
	return ""
}
