package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Which and how many clients a netvm has, and what other VMs there are, changes nothing of it: no name, address, slot or
// anything else of its units.
func TestNetVMIsTheSameForAll(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name+".toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	units := func() map[string]string {
		g, errs := generate([]string{folder})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		tree := printedTree(g)
		maps.DeleteFunc(tree, func(path, _ string) bool {
			unit, _, _ := strings.Cut(path, "/")
			return !strings.Contains(unit, "@net.") && !strings.Contains(unit, "@net:")
		})
		return tree
	}
	write("net", "id = 500\n[network.interfaces.wan]\nnat = true\n")
	alone := units()
	client := func(id int) {
		write(fmt.Sprintf("client%d", id), fmt.Sprintf("id = %d\n[network.interfaces.up]\nnetvm = \"net\"\n", id))
	}
	client(501)
	one := units()
	for id := range 30 {
		client(3 + id)
	}
	write("aaa", "id = 499\nautostart = true\n")
	if many := units(); !maps.Equal(one, many) {
		t.Errorf("with one client: %q\nwith many: %q", one, many)
	}
	if maps.Equal(alone, one) || one["vmsilo-netdev@net:clients.service.d/50-vmsilo.conf"] == "" {
		t.Errorf("nothing comes with a client: %q", one)
	}
	wan := "vmsilo-netdev@net:wan.service.d/50-vmsilo.conf"
	if alone[wan] == "" || alone[wan] != one[wan] {
		t.Errorf("another interface has changed: %q, %q", alone[wan], one[wan])
	}
}
