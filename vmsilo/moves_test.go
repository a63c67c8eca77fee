package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/generator/graph"
	"vmsilo/generator/machine"
)

// What an interface is called decides whether it moves others.
func TestMoves(t *testing.T) {
	etc, units := t.TempDir(), t.TempDir()
	t.Setenv("VMSILO_CONFIG_PATH", etc)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(etc, "banking.toml"), []byte("id = 3\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := func() string {
		var lines []string
		for _, m := range moves(readConfig(), units) {
			lines = append(lines, m.Error())
		}
		return strings.ReplaceAll(strings.Join(lines, "\n"), etc, "")
	}
	const lan, wan = "network.interfaces.lan0.bridge = \"br0\"\n", "network.interfaces.wan.nat = true\n"
	write(lan + wan)
	if got := said(); got != "" {
		t.Errorf("without units: %s", got)
	}
	// As systemd has it run.
	c := readConfig()
	if err := graph.New(sorted(c), c.Broken).Write(units); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		lan + wan: "",
		lan + wan + "network.interfaces.z = {}\n":                         "",
		lan + wan + "disks.more.path = \"/srv/x\"\nshared_home = false\n": "",
		lan + wan + "network.interfaces.m = {}\n": `/banking.toml:3:20: warning: interface "wan" moves to index 24: its PCI device, its TAP from banking-23 to banking-24, ` +
			"its addresses from 10.200.0.99/31,fd5c:9a3e:71b0::63/127 to 10.200.0.101/31,fd5c:9a3e:71b0::65/127",
		wan: `/banking.toml:2:20: warning: interface "wan" moves to index 22: its PCI device, its TAP from banking-23 to banking-22`,
	} {
		write(text)
		if got := said(); !strings.HasPrefix(got, want) || want == "" && got != "" || strings.Count(got, "warning") > 1 {
			t.Errorf("%s\ngot:  %s\nwant: %s", text, got, want)
		}
	}
}

func sorted(c configured) (all []*machine.Machine) {
	for _, name := range c.names() {
		all = append(all, c.sound[name])
	}
	return all
}
