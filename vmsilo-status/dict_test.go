package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A dictionary is what godbus makes of one, and two together are what it makes of all their entries at once, wherever the first ends.
func TestDict(t *testing.T) {
	written := func(body any) []byte {
		t.Helper()
		var out bytes.Buffer
		m := dbus.Message{Type: dbus.TypeMethodReply, Body: []any{body}, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(uint32(5)), dbus.FieldSignature: dbus.MakeVariant(dictSignature),
		}}
		if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()[out.Len()-int(binary.LittleEndian.Uint32(out.Bytes()[4:])):]
	}
	made := func(all ...entry) dict {
		t.Helper()
		d, err := newDict(all)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	live := []entry{{"MemoryCurrent", dbus.MakeVariant(uint64(7))}, {"RootOverlay", dbus.MakeVariant(overlay{"qcow2", 1, 2, "/x"})}}
	if want := written(map[string]dbus.Variant{}); !bytes.Equal(made(), want) || !bytes.Equal(made().with(made()), want) {
		t.Errorf("none: %x", made())
	}
	for length := range 20 {
		first := entry{"Name", dbus.MakeVariant(strings.Repeat("x", length))}
		if want := written(map[string]dbus.Variant{first.Name: first.Value}); !bytes.Equal(made(first), want) {
			t.Errorf("%d: %x, want %x", length, made(first), want)
		}
		all := append([]entry{first}, live...)
		if got := made(first).with(made(live...)); !bytes.Equal(got, made(all...)) || !bytes.Equal(got, written(all)) {
			t.Errorf("%d: %x, want %x", length, got, written(all))
		}
	}
}

// GetAll has what has changed since it was asked last, and each property as Get has it.
func TestGetAll(t *testing.T) {
	h := newHost(t, time.Minute)
	for _, state := range []string{"activating", "active", "inactive"} {
		h.run("my-vm", state)
		var all map[string]dbus.Variant
		for range 2 {
			call := h.object(theVM).Call(properties+".GetAll", 0, vmInterface)
			if call.Err != nil {
				t.Fatal(call.Err)
			}
			// Not Store, which makes other variants of structures.
			all = call.Body[0].(map[string]dbus.Variant)
		}
		if all["ActiveState"].Value() != state || len(all) != len(vmProperties) {
			t.Errorf("%d properties: %s, want %s", len(all), all["ActiveState"], state)
		}
		for name, got := range all {
			if want, err := h.object(theVM).GetProperty(vmInterface + "." + name); err != nil || fmt.Sprint(want) != fmt.Sprint(got) {
				t.Errorf("%s: %s, and %s alone: %v", name, got, want, err)
			}
		}
	}
}
