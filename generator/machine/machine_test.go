package machine

import (
	"strings"
	"testing"

	"vmsilo/generator/config"
)

func TestTAPName(t *testing.T) {
	for _, c := range []struct {
		name      string
		id, index int
		want      string
	}{
		{"banking", 3, 22, "banking-22"},
		{"exactlytwelv", 3, 22, "exactlytwelv-22"},
		{"thirteenbytes", 3, 22, "thirteenbyt3-22"},
		{"bankingsuperlong", 3, 22, "bankingsupe3-22"},
		{"bankingsuperlong", 9999, 36, "bankings9999-36"},
		{strings.Repeat("x", 48), 10, 30, "xxxxxxxxxx10-30"},
	} {
		got := tapName(c.name, c.id, c.index)
		if got != c.want || len(got) > maxTAP {
			t.Errorf("%s, id %d: %s, want %s", c.name, c.id, got, c.want)
		}
	}
}

func TestDerived(t *testing.T) {
	m := New(&config.VM{
		WaylandProxy: "none",
		Name:         "demo", ID: 17, Overlay: config.Overlay{Type: "qcow2"}, SharedHome: "/shared/demo",
		Interfaces: []config.Interface{{Name: "eth0"}, {Name: "wan", MAC: "52:54:00:12:34:56"}},
	})
	// printf %s demo-eth0 | sha1sum
	if got := m.Interfaces[0]; got.MAC != "52:db:ae:05:5e:71" || got.Index != 22 || got.PCI != (PCI{0x10, 0}) {
		t.Errorf("%+v", got)
	}
	if got := m.Interfaces[1]; got.MAC != "52:54:00:12:34:56" || got.Index != 23 || got.PCI != (PCI{0x11, 0}) || got.TAP != "demo-23" {
		t.Errorf("%+v", got)
	}
	if m.UID != 70017 || m.User() != "vmsilo-demo" || m.CID() != 17 {
		t.Errorf("uid %d, user %s, CID %d", m.UID, m.User(), m.CID())
	}
	want := "console=ttyS0 TERM=dumb vmsilo.name=demo vmsilo.ifname=eth0," + m.Interfaces[0].MAC +
		" vmsilo.ifname=wan,52:54:00:12:34:56 vmsilo.overlay=qcow2 vmsilo.home=virtiofs"
	if got := m.KernelCommandLine("ttyS0"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCommandLineOfSharesAndAddresses(t *testing.T) {
	m := New(&config.VM{
		WaylandProxy: "waypipe",
		Name:         "demo", ID: 17, Overlay: config.Overlay{Type: "tmpfs"},
		Interfaces: []config.Interface{{
			Name: "wan", MAC: "52:54:00:12:34:56", MTU: 1400,
			Addresses: []string{"10.0.0.2/24", "fd00::2/64"}, Gateways: []string{"10.0.0.1"}, DNS: []string{"fd00::53"},
		}},
		SharedDirectories: []config.SharedDirectory{
			{Tag: "a", Source: "/srv/a", Target: "/a b,c=é\"\n%", ReadOnly: true}, {Tag: "b", Source: "/srv/b", Target: "/b"},
		},
		KernelParams: []string{"quiet"},
	})
	want := "console=hvc0 TERM=dumb vmsilo.name=demo vmsilo.ifname=wan,52:54:00:12:34:56" +
		" vmsilo.address=wan,10.0.0.2/24 vmsilo.address=wan,fd00::2/64 vmsilo.gateway=wan,10.0.0.1 vmsilo.dns=fd00::53" +
		" vmsilo.mtu=wan,1400 vmsilo.overlay=tmpfs vmsilo.home=none" +
		" vmsilo.share=a,/a%20b%2Cc%3D%C3%A9%22%0A%25,ro vmsilo.share=b,/b,rw vmsilo.wayland_proxy=waypipe quiet"
	if got := m.KernelCommandLine("hvc0"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(m.Shares) != 2 || m.Shares[0].PCI != (PCI{7, 0}) || m.Shares[1].PCI != (PCI{8, 0}) {
		t.Errorf("%+v", m.Shares)
	}
}
