package cmdline

import (
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"strings"
	"testing"
)

const full = "console=ttyS0 quiet vmsilo.name=bank-2 vmsilo.ifname=eth1,52:aa:bb:cc:dd:01 " +
	"vmsilo.ifname=lan.5,52:AA:BB:CC:DD:02 vmsilo.overlay=qcow2 vmsilo.home=virtiofs " +
	"vmsilo.address=eth1,10.0.0.1/31 vmsilo.address=eth1,fd00::%31/127 vmsilo.gateway=eth1,10.0.0.0 " +
	"vmsilo.gateway=eth1,fe80::1 vmsilo.mtu=eth1,1400 vmsilo.dns=9.9.9.9 vmsilo.dns=2620:fe::fe " +
	"vmsilo.clients=lan.5 vmsilo.share=docs,/srv/docs,ro vmsilo.share=My.pics,/home/user/My%20pics%2C%20%C3%A4%20%26c,rw " +
	"vmsilo.wayland_proxy=wayland-proxy-virtwl root=/dev/evil\n"

func TestParse(t *testing.T) {
	want := Params{
		Name: "bank-2",
		Interfaces: []Interface{
			{
				Name: "eth1", MAC: "52:aa:bb:cc:dd:01", MTU: 1400,
				Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/31"), netip.MustParsePrefix("fd00::1/127")},
				Gateways:  []netip.Addr{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("fe80::1")},
			},
			{Name: "lan.5", MAC: "52:aa:bb:cc:dd:02"},
		},
		DNS:     []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("2620:fe::fe")},
		Clients: "lan.5",
		Shares: []Share{
			{Tag: "docs", Target: "/srv/docs", ReadOnly: true},
			{Tag: "My.pics", Target: "/home/user/My pics, ä &c"},
		},
		Overlay:      OverlayDisk,
		Home:         HomeVirtiofs,
		WaylandProxy: "wayland-proxy-virtwl",
	}
	if got, err := Parse(full); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, error %v", got, want, err)
	}
}

func TestParseEncodings(t *testing.T) {
	for _, line := range []string{
		"vmsilo.name=work", "vmsilo.name=%77ork", `vmsilo.name="work"`, `"vmsilo.name=work"`,
		`a="vmsilo.name=other b" vmsilo.name=work`, "\tvmsilo.name=work\n",
	} {
		if got, err := Parse(line); err != nil || got.Name != "work" || got.Malformed != nil {
			t.Errorf("%q: name %q, malformed %v, error %v", line, got.Name, got.Malformed, err)
		}
	}
}

// The name of an interface may stand behind what refers to it.
func TestParseOrder(t *testing.T) {
	got, err := Parse("vmsilo.mtu=wan,9000 vmsilo.ifname=wan,52:00:00:00:00:01")
	if err != nil || got.Malformed != nil || got.Interfaces[0].MTU != 9000 {
		t.Errorf("got %+v, error %v", got, err)
	}
}

// kept is what the bad parameters stand between, and clash with.
const (
	kept = "vmsilo.ifname=keep,52:00:00:00:00:01 vmsilo.share=kept,/srv/kept,rw vmsilo.address=keep,10.0.0.2/24 vmsilo.mtu=keep,1500 " +
		"vmsilo.gateway=keep,10.0.0.1"
	kept2 = "vmsilo.ifname=last,52:00:00:00:00:02 vmsilo.dns=10.0.0.1"
)

func TestParseHonoursTheRest(t *testing.T) {
	want, err := Parse(kept + " " + kept2)
	if err != nil || want.Malformed != nil {
		t.Fatal(want.Malformed, err)
	}
	for key, values := range map[string][]string{
		"name": {
			"", "Bank", "-a", "a-", "a%2fb", "a%", "a%4", "a%zz", "a%00", "a%0Ab", "../a", "a" + strings.Repeat("b", 48),
			strings.Repeat("%61", 300),
		},
		"overlay":       {"raw", ""},
		"home":          {"9p", "virtiofs%20"},
		"wayland_proxy": {"/bin/sh"},
		"color":         {"red"},
		"":              {""},
		"ifname": {
			"eth9", "eth9,", ",52:00:00:00:00:09", "lo,52:00:00:00:00:09", "12,52:00:00:00:00:09", ".a,52:00:00:00:00:09",
			"a%22b,52:00:00:00:00:09", "a/b,52:00:00:00:00:09", "sixteen-bytes-xx,52:00:00:00:00:09",
			"a,53:00:00:00:00:09", "a,00:00:00:00:00:00", "a,52-00-00-00-00-09", "a,5200.0000.0009", "a,52:00:00:00:00",
			"a,52:00:00:00:00:09,x", "keep,52:00:00:00:00:09", "a,52:00:00:00:00:01",
		},
		"address": {
			"", "keep", "keep,", "10.0.0.3/24", "none,10.0.0.3/24", "../keep,10.0.0.3/24", "keep,10.0.0.3", "keep,10.0.0.3/33",
			"keep,10.0.0.3/0", "keep,10.0.0.03/24", "keep,10.0.0.3/024", "keep,10.0.0.3/24%0aGateway=1", "keep,10.0.0.3/24,x",
			"keep,127.0.0.1/8", "keep,224.0.0.1/24", "keep,0.0.0.0/24", "keep,255.255.255.255/24", "keep,::/64", "keep,::1/64",
			"keep,ff02::1/64", "keep,fe80::1%25eth0/64", "keep,::ffff:10.0.0.3/120", "keep,fd00::1/129", "keep,10.0.0.2/16",
			"last,10.0.0.2/24",
		},
		"gateway": {
			"keep", "keep,", "none,10.0.0.1", "keep,10.0.0.3", "keep,10.0.0.1/24", "keep,example.org", "keep,fe80::1%25keep",
			"keep,ff02::1", "keep,::", "keep,::ffff:10.0.0.1", "keep,fd00::1%0a",
		},
		"mtu": {
			"keep", "keep,", "none,1500", "keep,1400", "last,0", "last,1279", "last,65536", "last,-1500", "last,+1500", "last,1500x",
			"last,01500", "last,1e4", "last,0x600",
		},
		"dns":     {"", "example.org", "10.0.0.1", "10.0.0.3/24", "0.0.0.0", "fe80::1%25keep", "9.9.9.9%20x", "9.9.9.9,8.8.8.8", "127.0.0.1"},
		"clients": {"", "none", "keep,10.0.0.1", "../keep", "keep%0a", "keep%22"},
		"share": {
			"", "a", "a,/srv/a", "a,/srv/a,", "a,/srv/a,RO", "a,/srv/a,rw,exec", ",/srv/a,rw", "home,/srv/a,rw", ".a,/srv/a,rw",
			"a/b,/srv/a,rw", "a%0a,/srv/a,rw", strings.Repeat("a", 37) + ",/srv/a,rw", "kept,/srv/a,rw", "a,/srv/kept,ro",
			"a,,rw", "a,srv/a,rw", "a,/,rw", "a,//srv,rw", "a,/srv/,rw", "a,/srv/../etc,rw", "a,/srv/./a,rw", "a,/srv/%2e%2e/etc,rw",
			"a,/etc,rw", "a,/etc/cron.d,rw", "a,/usr/lib/systemd/system,rw", "a,/run/systemd,rw", "a,/proc,rw", "a,/dev/shm,rw",
			"a,/home,rw", "a,/home/user,rw", "a,/root,rw", "a,/var,rw", "a,/var/lib,rw", "a,/var/log/journal,rw", "a,/tmp/a,rw",
			"a,/lib64,rw", "a,/srv/a%0aOptions=suid,rw", "a,/srv/a%5c,rw", "a,/srv/%25i,rw", "a,/srv/a%20,rw", "a,/srv/%ff,rw",
			"a,/srv/%22,rw", "a,/srv/%e2%80%ae,rw", "a,/srv/a%00b,rw", "a,/" + strings.Repeat("ab/", 90) + "a,rw",
			"a,/" + strings.Repeat("-", 59) + ",rw",
		},
	} {
		for _, value := range append(values, "\x00") {
			bad := "vmsilo." + key
			if value != "\x00" { // which stands for a parameter without a value
				bad += "=" + value
			}
			got, err := Parse(kept + " " + bad + " " + kept2)
			if err != nil || len(got.Malformed) != 1 || got.Malformed[0].Param != "vmsilo."+key {
				t.Errorf("%q: reported as %v, error %v", bad, got.Malformed, err)
			}
			got.Malformed = nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %+v", bad, got)
			}
		}
	}
}

func TestParseReportsEvery(t *testing.T) {
	got, err := Parse("vmsilo.name=A vmsilo.home=b vmsilo.overlay=tmpfs vmsilo.overlay=qcow2 vmsilo.new=1")
	want := []string{
		`kernel parameter vmsilo.name: "A" is not a VM's name`,
		`kernel parameter vmsilo.home: "b" is none of virtiofs, none`,
		"kernel parameter vmsilo.overlay: given twice; the first one counts",
		"kernel parameter vmsilo.new: not known to this image",
	}
	var messages []string
	for _, m := range got.Malformed {
		messages = append(messages, m.Error())
	}
	if err != nil || !reflect.DeepEqual(messages, want) || got.Overlay != OverlayTmpfs {
		t.Errorf("got %q, overlay %q, error %v", messages, got.Overlay, err)
	}
}

func TestShareUnit(t *testing.T) {
	for target, want := range map[string]string{
		"/srv/docs":          "srv-docs.mount",
		"/home/user/a-b c/ä": `home-user-a\x2db\x20c-\xc3\xa4.mount`, // as systemd-escape --path has it
	} {
		if got := (Share{Target: target}).Unit(); got != want {
			t.Errorf("%q: got %s, want %s", target, got, want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	line := strings.Builder{}
	for i := range 64 {
		fmt.Fprintf(&line, "vmsilo.ifname=if%d,52:00:00:00:00:%02x vmsilo.address=if0,10.0.0.%d/24 ", i, i, i+1)
		fmt.Fprintf(&line, "vmsilo.dns=10.0.0.%d vmsilo.share=s%d,/srv/%d,ro ", i+1, i, i)
	}
	got, err := Parse(line.String())
	if err != nil || len(got.Interfaces) != MaxInterfaces || len(got.Interfaces[0].Addresses) != MaxAddresses ||
		len(got.DNS) != MaxDNS || len(got.Shares) != MaxShares || len(got.Malformed) != 4*64-16-16-8-32 {
		t.Errorf("got %+v, error %v", got, err)
	}
	if _, err := Parse(strings.Repeat("x", MaxLine+1)); err == nil {
		t.Error("an endless line passes")
	}
}

// FuzzParse checks what the callers rely on: a value that is returned can be put into a file as it is.
func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(kept + " " + kept2)
	f.Add("vmsilo.ifname=a%22%0aRUN,52:00:00:00:00:01 vmsilo.name=%2e%2e/x")
	f.Add(`"vmsilo.name=a" vmsilo.home="none" vmsilo.overlay="tmpfs vmsilo.name=b`)
	f.Add("vmsilo.name=% vmsilo.share=a,/srv/%0a[Service],rw vmsilo.share=b,/srv/%2e%2e/%2e%2e/etc,ro")
	f.Add("vmsilo.clients=b vmsilo.ifname=b,52:00:00:00:00:01 vmsilo.clients=%62%0a")
	f.Add("vmsilo.\xff\x1b[2J=1")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := Parse(line)
		if err != nil {
			return
		}
		if p.Name != "" && !ValidName(p.Name) {
			t.Errorf("name %q", p.Name)
		}
		if p.Clients != "" && p.Interface(p.Clients) == nil {
			t.Errorf("clients on %q", p.Clients)
		}
		words := p.Name + p.Overlay + p.Home + p.WaylandProxy
		for _, i := range p.Interfaces {
			if !ValidInterfaceName(i.Name) || len(i.MAC) != 17 || i.MTU != 0 && i.MTU < minMTU || len(i.Gateways) > 2 {
				t.Errorf("interface %+v", i)
			}
			words += i.Name + i.MAC
		}
		for _, s := range p.Shares {
			if !path.IsAbs(s.Target) || strings.Contains(s.Target+"/", "/../") || strings.HasPrefix(s.Target+"/", "/etc/") ||
				strings.ContainsAny(s.Target, "\t\n\r\x00\"'\\%$`") || strings.ContainsAny(s.Unit(), "/ \n") || len(s.Unit()) > maxUnit {
				t.Errorf("share %+v", s)
			}
			words += s.Tag
		}
		if strings.ContainsAny(words, " \t\n\r\x00\"'\\/%$`") {
			t.Errorf("values %q", words)
		}
		for _, m := range p.Malformed {
			if !strings.HasPrefix(m.Param, prefix) || strings.ContainsAny(m.Error(), "\x00\x1b\r\n") {
				t.Errorf("message %q", m)
			}
		}
	})
}
