package graph

import (
	"strings"
	"testing"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
)

// The fingerprint is that of the start's drop-in, and another for every VM that is configured in another way.
func TestFingerprint(t *testing.T) {
	vm := func() *machine.Machine {
		return &machine.Machine{VM: &config.VM{Name: "a", ID: 3, Hypervisor: "qemu", Path: "/etc/vmsilo/a.toml", Kernel: "/k", Root: "/r"}, UID: 70003}
	}
	seen := map[string]string{}
	for what, m := range map[string]*machine.Machine{
		"as it is": vm(),
		"memory":   func() *machine.Machine { m := vm(); m.Memory = 1 << 30; return m }(),
		"uid":      func() *machine.Machine { m := vm(); m.UID++; return m }(),
		"image":    func() *machine.Machine { m := vm(); m.Root = "/r2"; return m }(),
		"a share": func() *machine.Machine {
			m := vm()
			m.Shares = []machine.Share{{SharedDirectory: config.SharedDirectory{Tag: "x", Source: "/x", Target: "/y"}}}
			return m
		}(),
	} {
		print := Fingerprint(m)
		if Fingerprint(m) != print || len(print) != 32 || seen[print] != "" {
			t.Errorf("%s: %q, which is that of %q", what, print, seen[print])
		}
		seen[print] = what
		content := file(t, New([]*machine.Machine{m}, nil), "vmsilo-@a.service.d/50-vmsilo.conf")
		if !strings.Contains(content, "\nEnvironment=VM_CONFIG="+print+"\n") {
			t.Errorf("%s: no %q in %q", what, print, content)
		}
	}
	m := vm()
	before := Fingerprint(m)
	m.Color, m.Autostart = "red", true
	if Fingerprint(m) != before {
		t.Error("a colour, or when it starts, is nothing that a VM runs with")
	}
}
