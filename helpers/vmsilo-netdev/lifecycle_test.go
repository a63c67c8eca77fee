package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// Whatever moment vmsilo-netdev is killed in, remove leaves nothing.
func TestKilled(t *testing.T) {
	for name, more := range map[string][]string{"nat": append([]string{"--host-ports=53/udp"}, natArgs...), "netvm": netvmArgs} {
		t.Run(name, func(t *testing.T) { killed(t, more) })
	}
}

func killed(t *testing.T, more []string) {
	inet(t)
	folder := t.TempDir()
	record := filepath.Join(folder, "demo:lan0")
	before := state(t)
	half := 0
	for n := range 40 {
		args := append([]string{"add", "--tap=demo-22", "--owner=70017", "--mac=" + mac}, more...)
		for _, args := range [][]string{append(args, record), {"remove", record}} {
			c := netdev(args...)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(n) * 500 * time.Microsecond)
			c.Process.Kill()
			if c.Wait() != nil {
				half++
			}
		}
		mustRun(t, "remove", record)
		if after := state(t); after != before {
			t.Fatalf("after %d half milliseconds: %s", n, difference(before, after))
		}
		mustBeGone(t, record)
	}
	if half < 20 {
		t.Errorf("only %d were killed in time", half)
	}
}

// A hundred at once get in nobody's way.
func TestParallel(t *testing.T) {
	inet(t)
	folder := t.TempDir()
	before := state(t)
	for _, verb := range []string{"add", "remove"} {
		var all []*exec.Cmd
		for n := range 100 {
			args := []string{verb}
			if verb == "add" {
				args = append(args, fmt.Sprintf("--tap=vm%d-22", n), "--owner=70017", fmt.Sprintf("--mac=52:00:00:00:01:%02x", n), "--nat",
					fmt.Sprintf("--host-address=10.200.1.%d/31", 2*n), fmt.Sprintf("--addresses=10.200.1.%d/31", 2*n+1))
			}
			c := netdev(append(args, filepath.Join(folder, fmt.Sprintf("vm%d:lan0", n)))...)
			c.Stderr = &bytes.Buffer{}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		for _, c := range all {
			if err := c.Wait(); err != nil {
				t.Errorf("%s: %v: %s", verb, err, c.Stderr)
			}
		}
		if got := strings.Count(tool(t, "nft", "list", "tables"), "netdev vmsilo-"); verb == "add" && got != 100 {
			t.Errorf("%d TAPs are filtered", got)
		}
	}
	if after := state(t); after != before {
		t.Error(difference(before, after))
	}
}

// An address that the host has elsewhere is refused, and nothing is half-made.
func TestAddressOfTheHost(t *testing.T) {
	inet(t)
	record := filepath.Join(t.TempDir(), "demo:lan0")
	for _, address := range []string{"198.51.100.9/28", "198.51.100.2/32", "198.51.0.0/16", "2001:db8:1::7/127"} {
		err := run(addArgs(record, "--host-address="+address))
		if err == nil || !strings.Contains(err.Error(), `of interface "eth0"`) {
			t.Errorf("%s: %v", address, err)
		}
		mustBeGone(t, record)
	}
}

// Nor may the guest have one that the host has where they meet. Where they do not, it is the guest's own matter.
func TestGuestHasAddressOfTheHost(t *testing.T) {
	inet(t)
	places[1].prepare(t)
	mustLink(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br1"}})
	record := filepath.Join(t.TempDir(), "demo:lan0")
	for _, args := range [][]string{
		{"--bridge=br0", "--addresses=10.9.0.2/24,10.9.0.1/24"},
		{"--bridge=br0", "--addresses=fd09::1/64"},
		{"--host-address=10.7.0.1/24", "--addresses=10.9.0.1/24"},
	} {
		if err := run(addArgs(record, args...)); err == nil || !strings.Contains(err.Error(), `is the host's, on interface "br0"`) {
			t.Errorf("%q: %v", args, err)
		}
		mustBeGone(t, record)
	}
	mustRun(t, addArgs(record, "--bridge=br1", "--addresses=10.9.0.1/24")...)
}

// Somebody flushes all tables of the host: refresh puts everything back.
func TestFlushed(t *testing.T) {
	inet(t)
	folder := t.TempDir()
	newGuest(t, folder, "demo", 0x11, natArgs...)
	gone := []string{"add", "--tap=gone-22", "--owner=70017", "--mac=52:00:00:00:00:12", "--host-address=10.9.0.1/24", "--host-ports=53/udp"}
	mustRun(t, append(gone, filepath.Join(folder, "gone:lan0"))...)
	before := tool(t, "nft", "list", "ruleset")
	tool(t, "nft", "flush", "ruleset")
	mustRun(t, "refresh", folder)
	// The order of the tables is that of their making.
	if after := tool(t, "nft", "list", "ruleset"); difference(before, after) != "" {
		t.Error(difference(before, after))
	}
	// One that is gone has no filter, and is in nobody's way.
	tool(t, "ip", "link", "delete", "gone-22")
	tool(t, "nft", "flush", "ruleset")
	mustRun(t, "refresh", folder)
	if tables := tool(t, "nft", "list", "tables"); strings.Contains(tables, "gone-22") || !strings.Contains(tables, "demo-22") {
		t.Error(tables)
	}
}

// One whose end comes in the middle of a refresh keeps none of the others from their filters, on kernels that refuse the whole then.
func TestGoneMeanwhile(t *testing.T) {
	namespace(t)
	folder := t.TempDir()
	for n, name := range []string{"a", "b"} {
		newGuest(t, folder, name, byte(0xa+n))
	}
	var tried [][]*tap
	try := func(what error, more func()) error {
		tried = nil
		return ofThose([]*tap{{Name: "a-22"}, {Name: "b-22"}, {Name: "never-22"}}, func(there []*tap) error {
			if tried = append(tried, slices.Clone(there)); len(tried) > 1 {
				return nil
			}
			more()
			return explain(what)
		})
	}
	if err := try(unix.ENOENT, func() {}); !lacksNftables(err) || len(tried) != 1 || len(tried[0]) != 2 {
		t.Errorf("all are there: %v after %d tries", err, len(tried))
	}
	if err := try(unix.EPERM, func() {}); err == nil || len(tried) != 1 {
		t.Errorf("another error: %v after %d tries", err, len(tried))
	}
	if err := try(unix.ENOENT, func() { tool(t, "ip", "link", "delete", "a-22") }); err != nil || len(tried) != 2 || len(tried[1]) != 1 {
		t.Errorf("one is gone: %v after %d tries", err, len(tried))
	}
}

// A kernel that lacks a part of nftables is named as what is missing, and nothing else is.
func TestExplain(t *testing.T) {
	for err, lacks := range map[error]bool{
		unix.EOPNOTSUPP: true, unix.EPROTONOSUPPORT: true, unix.EAFNOSUPPORT: true, unix.ENOENT: true,
		unix.EPERM: false, unix.ENOBUFS: false, unix.EEXIST: false,
	} {
		got := explain(err)
		if text := command.Text(got); !errors.Is(got, err) || strings.Contains(text, "modprobe nf_tables") != lacks {
			t.Errorf("%v: %s", err, text)
		}
	}
	if err := explain(nil); err != nil {
		t.Error(err)
	}
}

// Many are put back, too.
func TestManyFlushed(t *testing.T) {
	inet(t)
	folder := t.TempDir()
	for n := range 60 {
		mustRun(t, "add", fmt.Sprintf("--tap=vm%d-22", n), "--owner=70017", fmt.Sprintf("--mac=52:00:00:00:01:%02x", n), "--nat",
			fmt.Sprintf("--host-address=10.200.1.%d/31", 2*n), fmt.Sprintf("--addresses=10.200.1.%d/31", 2*n+1), filepath.Join(folder, fmt.Sprintf("vm%d:lan0", n)))
	}
	before := tool(t, "nft", "list", "ruleset")
	for _, flush := range []bool{false, true} {
		if flush {
			tool(t, "nft", "flush", "ruleset")
		}
		mustRun(t, "refresh", folder)
		if after := tool(t, "nft", "list", "ruleset"); difference(before, after) != "" {
			t.Error(difference(before, after))
		}
	}
}

// What drops what the host forwards is named, with a hint in the terms of whoever made it.
func TestObstacles(t *testing.T) {
	const chain, input = "type filter hook forward priority 0; policy", "type filter hook input priority 0; policy drop;"
	for _, c := range []struct{ table, chains, want string }{
		{"ip filter", "chain FORWARD { " + chain + " drop; }; chain DOCKER-USER { }", "iptables -I DOCKER-USER -i demo-22 -j ACCEPT; "},
		{"ip6 filter", "chain FORWARD { " + chain + " drop; }; chain ufw6-user-forward { }", "ufw route allow in on demo-22"},
		{"inet firewalld", "chain filter_FORWARD { " + chain + " accept; }", "firewall-cmd --zone=trusted --add-interface=demo-22 && firewall-cmd --permanent --zone=trusted --add-interface=demo-22"},
		{"inet own", "chain f { " + chain + " drop; }", `chain "f" of table "inet own" may drop`},
		{"ip filter", "chain FORWARD { " + chain + " accept; }", ""},
		{"ip filter", "chain INPUT { " + input + " }", ""},
		{"ip filter", "chain INPUT { " + input + " }; chain ufw-user-input { } # ports", "ufw allow in on demo-22"},
		{"inet own", "chain i { " + input + " } # ports", "let through there what comes from demo-22\n"},
		{"bridge own", "chain f { " + chain + " drop; }", ""},
	} {
		inet(t)
		tool(t, "nft", "table "+c.table+" {\n"+c.chains+"\n}")
		record := filepath.Join(t.TempDir(), "demo:lan0")
		args := natArgs
		if strings.HasSuffix(c.chains, "# ports") {
			args = append(args[:len(args):len(args)], "--host-ports=443/tcp")
		}
		cmd := netdev(addArgs(record, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) || (c.want == "") != (len(out) == 0) {
			t.Errorf("%s { %s }: %v: %q, want %q", c.table, c.chains, err, out, c.want)
		}
		mustRun(t, "remove", record)
	}
}
