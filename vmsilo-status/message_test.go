package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/godbus/dbus/v5"
)

// What parse reads of a header is what was written, in both orders; and whatever else comes ends in no panic.
func FuzzParse(f *testing.F) {
	want := message{
		kind: dbus.TypeMethodCall, flags: dbus.FlagNoAutoStart, path: "/a/b", iface: "a.b", member: "C", sender: ":1.2", signature: "ss",
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		var out bytes.Buffer
		m := dbus.Message{Type: want.kind, Flags: want.flags, Body: []any{"one", "zwei"}, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath(want.path)), dbus.FieldInterface: dbus.MakeVariant(want.iface),
			dbus.FieldMember: dbus.MakeVariant(want.member), dbus.FieldSender: dbus.MakeVariant(want.sender),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.ParseSignatureMust(want.signature)),
			dbus.FieldReplySerial: dbus.MakeVariant(uint32(7)),
		}}
		if err := m.EncodeTo(&out, order); err != nil {
			f.Fatal(err)
		}
		got := split(out.Bytes())
		args, ok := got.strings(2)
		if !ok || args[0] != "one" || args[1] != "zwei" {
			f.Errorf("%v: %q", order, args)
		}
		if _, ok := got.strings(3); ok {
			f.Error("a string that is not there")
		}
		got.body, got.order = nil, nil
		if got.path != want.path || got.iface != want.iface || got.member != want.member || got.sender != want.sender ||
			got.signature != want.signature || got.kind != want.kind || got.flags != want.flags {
			f.Errorf("%v: %+v", order, got)
		}
		f.Add(out.Bytes())
	}
	// A field that is a dictionary.
	f.Add([]byte("l\x04\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x10\x00\x00\x00\x0a\x05a{sv}\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m := split(data); m != nil {
			m.strings(3)
		}
	})
}

// split parses a message as the gate does, or returns nil where it would not.
func split(data []byte) *message {
	if len(data) < fixedHeader || data[0] != littleEndian && data[0] != bigEndian {
		return nil
	}
	fields, _ := lengths(data)
	if fields > len(data)-fixedHeader {
		return nil
	}
	m, ok := parse(data[:fixedHeader+fields])
	if !ok {
		return nil
	}
	m.body = data[fixedHeader+fields:]
	return m
}
