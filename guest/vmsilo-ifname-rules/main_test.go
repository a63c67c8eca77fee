package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"vmsilo/guest/internal/cmdline"
)

// refusing is a network that gives a name once, as the kernel does.
type refusing struct{ devices []device }

func (n *refusing) Devices() ([]device, error) { return slices.Clone(n.devices), nil }

func (n *refusing) Rename(d *device, name string) error {
	for i := 0; strings.HasSuffix(name, "%d"); i++ {
		if try := strings.TrimSuffix(name, "%d") + fmt.Sprint(i); !n.has(try) {
			name = try
		}
	}
	if n.has(name) {
		return unix.EEXIST
	}
	for i := range n.devices {
		if n.devices[i].Index == d.Index {
			n.devices[i].Name, d.Name = name, name
		}
	}
	return nil
}

func (n *refusing) has(name string) bool {
	return slices.ContainsFunc(n.devices, func(d device) bool { return d.Name == name })
}

func TestRename(t *testing.T) {
	const m0, m1, m2 = "52:00:00:00:00:00", "52:00:00:00:00:01", "52:00:00:00:00:02"
	for _, c := range []struct{ wanted, want string }{
		{"", "eth0 eth1 eth2"},
		{"vmsilo.ifname=eth1," + m0 + " vmsilo.ifname=eth0," + m1, "eth1 eth0 eth2"},
		{"vmsilo.ifname=eth1," + m0 + " vmsilo.ifname=eth2," + m1 + " vmsilo.ifname=eth0," + m2, "eth1 eth2 eth0"},
		{"vmsilo.ifname=wan," + m0 + " vmsilo.ifname=lan," + m2, "wan eth1 lan"},
		{"vmsilo.ifname=eth0," + m0, "eth0 eth1 eth2"},
		{"vmsilo.ifname=eth2," + m0, "eth2 eth1 _vmsilo1"},
		{"vmsilo.ifname=wan,52:00:00:00:00:ff", "eth0 eth1 eth2"},
	} {
		params, err := cmdline.Parse(c.wanted)
		if err != nil {
			t.Fatal(err)
		}
		net := &refusing{[]device{{2, "eth0", m0}, {3, "eth1", m1}, {4, "eth2", m2}}}
		if err := rename(net, params.Interfaces); err != nil {
			t.Errorf("%q: %v", c.wanted, err)
		}
		var got []string
		for _, d := range net.devices {
			got = append(got, d.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: got %v, want %s", c.wanted, got, c.want)
		}
	}
}

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "udev", "rules.d")
	load := func(line string) func() (cmdline.Params, error) {
		return func() (cmdline.Params, error) { return cmdline.Parse(line) }
	}
	if err := run(load("quiet"), &refusing{}, dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written for nothing")
	}
	err := run(load("vmsilo.ifname=wan,52:00:00:00:00:01 vmsilo.ifname=lo,52:00:00:00:00:02"), &refusing{}, dir)
	if err != nil {
		t.Error(err)
	}
	want := "# Written by vmsilo-ifname-rules from the kernel command line\n" +
		`SUBSYSTEM=="net", ACTION=="add", ATTR{type}=="1", ATTR{address}=="52:00:00:00:00:01", DRIVERS=="?*", NAME="wan"` + "\n"
	if got, _ := os.ReadFile(filepath.Join(dir, rulesFile)); string(got) != want {
		t.Errorf("got %s", got)
	}
}
