package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBeside has a guest on hosts where others filter, too, with the rules that these really make: what stands in the way is told, is
// all that does, and is as it was afterwards.
func TestBeside(t *testing.T) {
	warning := regexp.MustCompile(`chain "([^"]*)" of table "([^"]*)" may drop`)
	for name, want := range map[string]int{"docker": 1, "ufw": 4, "firewalld": 2} {
		t.Run(name, func(t *testing.T) {
			internet := inet(t)
			tool(t, "nft", "--file", filepath.Join("testdata", name+".nft"))
			before := state(t)
			ports := heard(t, "udp", ":443")
			var said strings.Builder
			g := newGuest(t, t.TempDir(), "demo", 0x11, append(natArgs, "--host-ports=443/udp")...)
			var recorded tap
			if err := read(g.record, &recorded); err != nil {
				t.Fatal(err)
			}
			recorded.warn(&said)
			chains := warning.FindAllStringSubmatch(said.String(), -1)
			if len(chains) != want {
				t.Errorf("%d warnings, want %d: %s", len(chains), want, said.String())
			}
			for _, c := range chains {
				for _, way := range []string{"iifname", "oifname"} {
					if way == "iifname" || !strings.HasSuffix(c[1], "INPUT") {
						tool(t, "nft", "insert rule "+c[2]+" "+c[1]+" "+way+" demo-22 accept")
					}
				}
			}
			said.Reset()
			if recorded.warn(&said); said.Len() > 0 {
				t.Errorf("it is let through, and yet: %s", said.String())
			}
			g.knownTo(g.tap, guest4, guest6)
			g.asks(internet, guest4, "203.0.113.53", "198.51.100.2")
			g.asks(internet, guest6, "2001:db8:2::53", "2001:db8:1::2")
			for own, host := range map[string]string{guest4: host4, guest6: host6} {
				if g.sendTo(g.tap, packet(own, host, unix.IPPROTO_UDP, udp(1000, 443, "a question"))); ports() != 1 {
					t.Errorf("the port is not reached at %s", host)
				}
			}
			g.file.Close()
			mustRun(t, "remove", g.record)
			// But for what was let through.
			after := regexp.MustCompile(`\t+[io]ifname "demo-22" accept\n`).ReplaceAllString(state(t), "")
			if after != before {
				t.Error(difference(before, after))
			}
		})
	}
}
