package socket_test

import (
	"strings"
	"testing"

	"vmsilo/vmm/control"
	"vmsilo/vmm/control/controltest"
	"vmsilo/vmm/qemu/socket"
)

var qemu = controltest.Socket{Network: "unix", Name: socket.Name, Greeting: "{\"QMP\": {}}\n"}

// What QEMU is asked for after it has said what there is. tests/scenarios/disks.sh has it done.
func TestQEMU(t *testing.T) {
	const nodes = `{"return": [{"node-name": "#block1", "ro": false, "image": {"virtual-size": 7}},
		{"node-name": "vmsilo-data", "ro": false, "image": {"virtual-size": 3145728}},
		{"node-name": "vmsilo-archive", "ro": true, "image": {"virtual-size": 1048576}}]}`
	for _, c := range []struct {
		what       string
		do         func(control.VMM) error
		last, want string
	}{
		{"pause", control.VMM.Pause, `{"execute":"stop"}`, ""},
		{"resume", control.VMM.Resume, `{"execute":"cont"}`, ""},
		{"a balloon", func(v control.VMM) error { return v.Balloon(16 << 20) }, `{"arguments":{"value":50331648},"execute":"balloon"}`, ""},
		{"no balloon", func(v control.VMM) error { return v.Balloon(0) }, `{"arguments":{"value":67108864},"execute":"balloon"}`, ""},
		{"a large balloon", func(v control.VMM) error { return v.Balloon(64 << 20) }, `{"execute":"query-memory-size-summary"}`, "leaves nothing of the guest's 67108864"},
		{"grow", func(v control.VMM) error { return v.Grow("data", 4<<20) }, `{"arguments":{"node-name":"vmsilo-data","size":4194304},"execute":"block_resize"}`, ""},
		{"the same size", func(v control.VMM) error { return v.Grow("data", 3<<20) }, `{"arguments":{"node-name":"vmsilo-data","size":3145728},"execute":"block_resize"}`, ""},
		{"shrink", func(v control.VMM) error { return v.Grow("data", 2<<20) }, "", `disk "data" has 3145728 bytes, and is never made smaller`},
		{"half a sector", func(v control.VMM) error { return v.Grow("data", 3<<20+1) }, "", "sectors of 512 bytes"},
		{"read-only", func(v control.VMM) error { return v.Grow("archive", 9<<20) }, "", `disk "archive" is read-only`},
		{"no such disk", func(v control.VMM) error { return v.Grow("none", 9<<20) }, "", `the VM runs without a disk "none"`},
	} {
		var heard string
		v := qemu.VMM(t, func(said string) string {
			heard = strings.TrimSpace(said)
			switch {
			case strings.Contains(said, "query-memory"):
				return `{"return": {"base-memory": 67108864}}`
			case strings.Contains(said, "query-named"):
				return nodes
			}
			return `{"return": {}}`
		})
		controltest.Wants(t, c.what, c.do(v), c.want)
		if c.last != "" && heard != c.last {
			t.Errorf("%s: heard %s", c.what, heard)
		}
	}
}
