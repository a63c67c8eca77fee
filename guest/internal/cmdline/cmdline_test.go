package cmdline

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const full = "console=ttyS0 quiet vmsilo.name=bank-2 vmsilo.ifname=eth1,52:aa:bb:cc:dd:01 " +
	"vmsilo.ifname=lan.5,52:AA:BB:CC:DD:02 vmsilo.overlay=qcow2 vmsilo.home=virtiofs " +
	"vmsilo.wayland_proxy=wayland-proxy-virtwl root=/dev/evil\n"

func TestParse(t *testing.T) {
	got, err := Parse(full)
	if err != nil {
		t.Fatal(err)
	}
	want := Params{
		Name:         "bank-2",
		Interfaces:   []Interface{{"eth1", "52:aa:bb:cc:dd:01"}, {"lan.5", "52:aa:bb:cc:dd:02"}},
		Overlay:      OverlayDisk,
		Home:         HomeVirtiofs,
		WaylandProxy: "wayland-proxy-virtwl",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseEncodings(t *testing.T) {
	for _, line := range []string{
		"vmsilo.name=work", "vmsilo.name=%77ork", `vmsilo.name="work"`, `"vmsilo.name=work"`,
		`a="vmsilo.name=other b" vmsilo.name=work`, "\tvmsilo.name=work\n",
	} {
		if got, err := Parse(line); err != nil || got.Name != "work" {
			t.Errorf("%q: name %q, error %v", line, got.Name, err)
		}
	}
}

func TestParseHonoursTheRest(t *testing.T) {
	for _, bad := range []string{
		"vmsilo.name", "vmsilo.name=", "vmsilo.name=Bank", "vmsilo.name=-a", "vmsilo.name=a-", "vmsilo.name=a%2fb",
		"vmsilo.name=a%", "vmsilo.name=a%4", "vmsilo.name=a%zz", "vmsilo.name=a%00", "vmsilo.name=a%0Ab",
		"vmsilo.name=../a", "vmsilo.name=a" + strings.Repeat("b", 48), "vmsilo.name=" + strings.Repeat("%61", 300),
		"vmsilo.overlay=raw", "vmsilo.home=9p", "vmsilo.home=virtiofs%20", "vmsilo.wayland_proxy=/bin/sh",
		"vmsilo.ifname=eth9", "vmsilo.ifname=eth9,", "vmsilo.ifname=,52:00:00:00:00:09", "vmsilo.ifname=lo,52:00:00:00:00:09",
		"vmsilo.ifname=12,52:00:00:00:00:09", "vmsilo.ifname=.a,52:00:00:00:00:09", "vmsilo.ifname=a%22b,52:00:00:00:00:09",
		"vmsilo.ifname=a/b,52:00:00:00:00:09", "vmsilo.ifname=sixteen-bytes-xx,52:00:00:00:00:09",
		"vmsilo.ifname=a,53:00:00:00:00:09", "vmsilo.ifname=a,00:00:00:00:00:00", "vmsilo.ifname=a,52-00-00-00-00-09",
		"vmsilo.ifname=a,5200.0000.0009", "vmsilo.ifname=a,52:00:00:00:00", "vmsilo.ifname=a,52:00:00:00:00:09,x",
		"vmsilo.ifname=keep,52:00:00:00:00:09", "vmsilo.ifname=a,52:00:00:00:00:01", "vmsilo.color=red", "vmsilo.",
	} {
		key, _, _ := strings.Cut(bad, "=")
		got, err := Parse("vmsilo.ifname=keep,52:00:00:00:00:01 " + bad + " vmsilo.ifname=last,52:00:00:00:00:02")
		var pe *ParamError
		if !errors.As(err, &pe) || pe.Param != key {
			t.Errorf("%q: error %v does not name %s", bad, err, key)
		}
		want := Params{Interfaces: []Interface{{"keep", "52:00:00:00:00:01"}, {"last", "52:00:00:00:00:02"}}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v", bad, got)
		}
	}
}

func TestParseReportsEvery(t *testing.T) {
	got, err := Parse("vmsilo.name=A vmsilo.home=b vmsilo.overlay=tmpfs vmsilo.overlay=qcow2")
	for _, want := range []string{"vmsilo.name:", "vmsilo.home:", "vmsilo.overlay: given twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if got.Overlay != OverlayTmpfs {
		t.Errorf("overlay is %q", got.Overlay)
	}
}

func TestParseBounds(t *testing.T) {
	var line strings.Builder
	for i := range MaxInterfaces + 1 {
		fmt.Fprintf(&line, "vmsilo.ifname=if%d,52:00:00:00:00:%02x ", i, i)
	}
	if got, err := Parse(line.String()); err == nil || len(got.Interfaces) != MaxInterfaces {
		t.Errorf("%d interfaces, error %v", len(got.Interfaces), err)
	}
	if _, err := Parse(strings.Repeat("x", MaxLine+1)); err == nil {
		t.Error("an endless line passes")
	}
}

// FuzzParse checks what the callers rely on: a value that is returned can be put into a file as it is.
func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add("vmsilo.ifname=a%22%0aRUN,52:00:00:00:00:01 vmsilo.name=%2e%2e/x")
	f.Add(`"vmsilo.name=a" vmsilo.home="none" vmsilo.overlay="tmpfs vmsilo.name=b`)
	f.Add("vmsilo.name=%")
	f.Add("vmsilo.\xff\x1b[2J=1")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := Parse(line)
		if p.Name != "" && !ValidName(p.Name) {
			t.Errorf("name %q", p.Name)
		}
		values := p.Name + p.Overlay + p.Home + p.WaylandProxy
		for _, i := range p.Interfaces {
			if !ValidInterfaceName(i.Name) || len(i.MAC) != 17 {
				t.Errorf("interface %q %q", i.Name, i.MAC)
			}
			values += i.Name + i.MAC
		}
		if strings.ContainsAny(values, " \t\n\r\x00\"'\\/%$`") {
			t.Errorf("value %q", values)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\r") {
			t.Errorf("message %q", err)
		}
	})
}
