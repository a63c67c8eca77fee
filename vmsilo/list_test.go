package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/godbus/dbus/v5"
)

// A VM that runs has the memory that org.vmsilo1 knows, and one that does not has none.
func TestListedMemory(t *testing.T) {
	for _, test := range []struct {
		state  string
		memory uint64
		want   string
	}{
		{"running", 512<<20 + 1, "512 MiB"},
		{"paused", 1 << 30, "1024 MiB"},
		{"running", math.MaxUint64, "-"},
		{"stopped", 1 << 30, "-"},
	} {
		l, err := newListed(map[string]dbus.Variant{
			"Name": dbus.MakeVariant("work"), "Color": dbus.MakeVariant("red"), "State": dbus.MakeVariant(test.state),
			"StateTimestamp": dbus.MakeVariant(uint64(0)), "MemoryCurrent": dbus.MakeVariant(test.memory),
			"Addresses": dbus.MakeVariant([]string{"10.1.2.3"}), "ConfigPath": dbus.MakeVariant("/work.toml"), "ConfigError": dbus.MakeVariant(""),
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := printTable(&out, []listed{l}, false); err != nil {
			t.Fatal(err)
		}
		fields := bytes.Fields(bytes.ReplaceAll(out.Bytes(), []byte(" MiB"), []byte("_MiB")))
		if got := string(bytes.ReplaceAll(fields[len(fields)-2], []byte("_"), []byte(" "))); got != test.want {
			t.Errorf("%s with %d bytes: %q, want %q", test.state, test.memory, got, test.want)
		}
	}
}
