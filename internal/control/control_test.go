package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// vmm returns the VMM with a control socket of that name, on which each thing that is said is answered by answer.
func vmm(t *testing.T, socket string, answer func(said string) string) VMM {
	t.Helper()
	network, folder := "unix", t.TempDir()
	if socket == "crosvm.sock" {
		network = "unixpacket"
	}
	l, err := net.Listen(network, filepath.Join(folder, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if socket == "qmp.sock" {
				_, _ = io.WriteString(conn, "{\"QMP\": {}}\n")
			}
			for packet := make([]byte, 4096); ; {
				n, err := conn.Read(packet)
				if err != nil {
					break
				}
				if _, err := io.WriteString(conn, answer(string(packet[:n]))); err != nil || socket == "cloud-hypervisor.sock" {
					break
				}
			}
			conn.Close()
		}
	}()
	v, err := In(folder)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wants compares an error with the end of what it is to be; "" is none.
func wants(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
		t.Errorf("%.40q: %v, want %q", what, err, want)
	}
}

// crosvm's VmResponse.
func TestCrosvm(t *testing.T) {
	for answer, want := range map[string]string{
		`"Ok"`:                  "",
		`{"Err":16}`:            "device or resource busy",
		`{"Err":107}`:           "the VM has no balloon, or its guest does not use it",
		`{"ErrString":"later"}`: "later",
		`{"BalloonStats":{}}`:   `it answers "{\"BalloonStats\":{}}"`,
		`nonsense`:              `it answers "nonsense"`,
	} {
		var heard string
		v := vmm(t, "crosvm.sock", func(said string) string {
			heard = said
			return answer
		})
		wants(t, answer, v.Balloon(3<<20), want)
		if heard != `{"BalloonCommand":{"Adjust":{"num_bytes":3145728,"wait_for_success":false}}}` {
			t.Errorf("heard %s", heard)
		}
	}
}

// cloud-hypervisor says in its first line whether it does what it is asked for, and then why not.
func TestCloudHypervisor(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 204 \r\nServer: x\r\n\r\n":                                       "",
		"HTTP/1.1 200 \r\n\r\n":                                                    "",
		"HTTP/1.1 404 \r\n\r\n":                                                    `it answers "404"`,
		"HTTP/1.1 500 \r\nContent-Length: 16\r\n\r\n[\"failed\",\"why\"]":          "asking cloud-hypervisor for vm.resize: why",
		"HTTP/1.1 500 \r\nContent-Length: 900000000000\r\n\r\n[\"failed\",\"no\"]": `it answers "500"`,
		"HTTP/1.1 500 \r\nContent-Length: -1\r\n\r\n[\"failed\",\"no\"]":           `it answers "500"`,
		"\r\n":                     `it answers ""`,
		"":                         "EOF",
		strings.Repeat("x", 1<<20): "EOF",
	} {
		var heard string
		v := vmm(t, "cloud-hypervisor.sock", func(said string) string {
			heard = said
			return answer
		})
		wants(t, answer, v.Balloon(3<<20), want)
		if !strings.HasPrefix(heard, "PUT /api/v1/vm.resize HTTP/1.1\r\n") || !strings.HasSuffix(heard, "\r\n\r\n{\"desired_balloon\":3145728}") {
			t.Errorf("heard %q", heard)
		}
	}
}

// An event may come before QEMU's answer, and is none.
func TestQMPAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`{"event": "RTC_CHANGE"} {"return": {}}`:               "",
		`{"event": "RTC_CHANGE"} {"error": {"desc": "no"}}`:    "no",
		`{"return": {"error": "is a key of the answer here"}}`: "",
		`{"event": "RTC_CHANGE"}`:                              "EOF",
	} {
		s := session{json.NewEncoder(io.Discard), json.NewDecoder(strings.NewReader(text))}
		err := s.answer(nil)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What QEMU is asked for after it has said what there is. tests/scenarios/disks.sh has it done.
func TestQEMU(t *testing.T) {
	const nodes = `{"return": [{"node-name": "#block1", "ro": false, "image": {"virtual-size": 7}},
		{"node-name": "vmsilo-data", "ro": false, "image": {"virtual-size": 3145728}},
		{"node-name": "vmsilo-archive", "ro": true, "image": {"virtual-size": 1048576}}]}`
	for _, c := range []struct {
		what       string
		do         func(VMM) error
		last, want string
	}{
		{"pause", VMM.Pause, `{"execute":"stop"}`, ""},
		{"resume", VMM.Resume, `{"execute":"cont"}`, ""},
		{"a balloon", func(v VMM) error { return v.Balloon(16 << 20) }, `{"arguments":{"value":50331648},"execute":"balloon"}`, ""},
		{"no balloon", func(v VMM) error { return v.Balloon(0) }, `{"arguments":{"value":67108864},"execute":"balloon"}`, ""},
		{"a large balloon", func(v VMM) error { return v.Balloon(64 << 20) }, `{"execute":"query-memory-size-summary"}`, "leaves nothing of the guest's 67108864"},
		{"grow", func(v VMM) error { return v.Grow("data", 4<<20) }, `{"arguments":{"node-name":"vmsilo-data","size":4194304},"execute":"block_resize"}`, ""},
		{"the same size", func(v VMM) error { return v.Grow("data", 3<<20) }, `{"arguments":{"node-name":"vmsilo-data","size":3145728},"execute":"block_resize"}`, ""},
		{"shrink", func(v VMM) error { return v.Grow("data", 2<<20) }, "", `disk "data" has 3145728 bytes, and is never made smaller`},
		{"half a sector", func(v VMM) error { return v.Grow("data", 3<<20+1) }, "", "sectors of 512 bytes"},
		{"read-only", func(v VMM) error { return v.Grow("archive", 9<<20) }, "", `disk "archive" is read-only`},
		{"no such disk", func(v VMM) error { return v.Grow("none", 9<<20) }, "", `the VM runs without a disk "none"`},
	} {
		var heard string
		v := vmm(t, "qmp.sock", func(said string) string {
			heard = strings.TrimSpace(said)
			switch {
			case strings.Contains(said, "query-memory"):
				return `{"return": {"base-memory": 67108864}}`
			case strings.Contains(said, "query-named"):
				return nodes
			}
			return `{"return": {}}`
		})
		wants(t, c.what, c.do(v), c.want)
		if c.last != "" && heard != c.last {
			t.Errorf("%s: heard %s", c.what, heard)
		}
	}
}

// A VM whose VMM has no socket cannot be asked.
func TestNone(t *testing.T) {
	if _, err := In(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}
