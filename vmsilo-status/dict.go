package main

import (
	"bytes"
	"encoding/binary"

	"github.com/godbus/dbus/v5"
)

// dict is the body of an answer that is an a{sv}, as it is on the wire: the length of its entries in bytes, four bytes that
// align the first, and the entries, each of which begins at a multiple of 8. "Marshaling" of the D-Bus specification.
type dict []byte

// entry is an entry. An array of such structures is written as a dictionary is, and keeps its order.
type entry struct {
	Name  string
	Value dbus.Variant
}

// firstEntry is where the first entry begins.
const firstEntry = 8

var dictSignature = dbus.ParseSignatureMust("a{sv}")

func newDict(all []entry) (dict, error) {
	var out bytes.Buffer
	m := dbus.Message{Type: dbus.TypeMethodReply, Body: []any{all}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(uint32(1)),
		dbus.FieldSignature:   dbus.MakeVariant(dictSignature),
	}}
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		return nil, err
	}
	_, length := lengths(out.Bytes())
	return out.Bytes()[out.Len()-length:], nil
}

// with returns a dictionary that has the entries of both.
func (d dict) with(more dict) dict {
	aligned := (len(d) + 7) &^ 7
	all := make(dict, aligned, aligned+len(more)-firstEntry)
	copy(all, d)
	all = append(all, more[firstEntry:]...)
	binary.LittleEndian.PutUint32(all, uint32(len(all)-firstEntry))
	return all
}
