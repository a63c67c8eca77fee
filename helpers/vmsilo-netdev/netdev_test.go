package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	owner = 70017
	mac   = "52:00:00:00:00:11"
)

// inNamespace gives the test a network namespace of its own, and a place for the record.
func inNamespace(t *testing.T) (record string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP: making a TAP needs root")
	}
	// The thread is not given back, so that the namespace ends with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	return filepath.Join(t.TempDir(), "demo:lan0")
}

func addArgs(record string, more ...string) []string {
	return append(append([]string{"add", "--tap=demo-22", "--owner=70017", "--mac=" + mac}, more...), record)
}

func mustRun(t *testing.T, args ...string) {
	t.Helper()
	if err := run(args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
}

func mustTAP(t *testing.T) *netlink.Tuntap {
	t.Helper()
	link, err := netlink.LinkByName("demo-22")
	if err != nil {
		t.Fatal(err)
	}
	tap, ok := link.(*netlink.Tuntap)
	if !ok {
		t.Fatalf("demo-22 is a %T", link)
	}
	return tap
}

func mustBeGone(t *testing.T, record string) {
	t.Helper()
	if link, err := netlink.LinkByName("demo-22"); err == nil {
		t.Errorf("the link is still there: %v", link.Attrs())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(record), "*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestAddAndRemove(t *testing.T) {
	record := inNamespace(t)
	mustRun(t, addArgs(record, "--host-address=10.9.0.1/24")...)
	tap := mustTAP(t)
	if tap.Owner != owner || tap.Group != owner || tap.NonPersist {
		t.Errorf("owner %d, group %d, not persistent: %v", tap.Owner, tap.Group, tap.NonPersist)
	}
	if tap.Attrs().RawFlags&unix.IFF_UP == 0 {
		t.Error("the link is down")
	}
	addresses, err := netlink.AddrList(tap, unix.AF_INET)
	if err != nil || len(addresses) != 1 || addresses[0].IPNet.String() != "10.9.0.1/24" {
		t.Errorf("addresses %v, %v", addresses, err)
	}
	mustHaveSettings(t, map[string]string{"accept_ra": "0", "disable_ipv6": "1"})
	mustRun(t, "remove", record)
	mustBeGone(t, record)
	mustRun(t, "remove", record)
}

// The kernel takes what the configuration allows, and no more.
func TestMTU(t *testing.T) {
	record := inNamespace(t)
	for _, mtu := range []int{68, 1400, 65521} {
		mustRun(t, addArgs(record, fmt.Sprintf("--mtu=%d", mtu))...)
		if got := mustTAP(t).Attrs().MTU; got != mtu {
			t.Errorf("MTU %d, want %d", got, mtu)
		}
	}
	if err := run(addArgs(record, "--mtu=65522")); err == nil || !strings.Contains(err.Error(), "MTU of 65522") {
		t.Errorf("an MTU that is too large: %v", err)
	}
	mustBeGone(t, record)
}

// A guest must not be able to give the host an address or a route.
func TestIPv6(t *testing.T) {
	record := inNamespace(t)
	mustRun(t, addArgs(record, "--host-address=fd00::1/64")...)
	mustHaveSettings(t, map[string]string{"accept_ra": "0", "autoconf": "0", "disable_ipv6": "0"})
	addresses, err := netlink.AddrList(mustTAP(t), unix.AF_INET6)
	// The order is the kernel's.
	if err != nil || len(addresses) != 2 || fmt.Sprint(addresses[0].IPNet, addresses[1].IPNet) != "fd00::1/64 fe80::1/64" {
		t.Errorf("addresses %v, %v", addresses, err)
	}
}

func mustHaveSettings(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		got, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf/demo-22", name))
		if err != nil || strings.TrimSpace(string(got)) != value {
			t.Errorf("%s is %q, want %s (%v)", name, got, value, err)
		}
	}
}

// A crash leaves the TAP, its record, or both.
func TestLeftovers(t *testing.T) {
	record := inNamespace(t)
	mustRun(t, addArgs(record, "--host-address=10.9.0.1/24")...)
	mustRun(t, addArgs(record, "--host-address=10.9.0.2/24")...)
	addresses, err := netlink.AddrList(mustTAP(t), unix.AF_INET)
	if err != nil || len(addresses) != 1 || addresses[0].IP.String() != "10.9.0.2" {
		t.Errorf("addresses %v, %v", addresses, err)
	}
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	mustRun(t, addArgs(record, "--host-address=")...)
	if err := netlink.LinkDel(mustTAP(t)); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "remove", record)
	mustBeGone(t, record)
}

func TestSomebodyElses(t *testing.T) {
	record := inNamespace(t)
	others := []netlink.Link{
		&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "demo-22"}},
		&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "demo-22"}, Mode: netlink.TUNTAP_MODE_TAP, Owner: 1000, Group: 1000},
	}
	for _, other := range others {
		if err := netlink.LinkAdd(other); err != nil {
			t.Fatal(err)
		}
		if err := run(addArgs(record)); err == nil || !strings.Contains(err.Error(), "not vmsilo's") {
			t.Errorf("%T: got %v", other, err)
		}
		mustRun(t, "remove", record)
		if _, err := netlink.LinkByName("demo-22"); err != nil {
			t.Errorf("%T is gone: %v", other, err)
		}
		if err := netlink.LinkDel(other); err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be finished is not left half-made.
func TestHalfMade(t *testing.T) {
	record := inNamespace(t)
	for _, wrong := range []string{"--host-address=nonsense", "--bridge=lo"} {
		if err := run(addArgs(record, wrong)); err == nil {
			t.Errorf("%s is taken", wrong)
		}
		mustBeGone(t, record)
	}
}

func TestArguments(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	for _, args := range [][]string{
		nil,
		{"frob"},
		{"add"},
		{"add", "--tap=demo-22", "--owner=70017", "--mac=" + mac},
		{"add", "--owner=70017", "--mac=" + mac, record},
		{"add", "--tap=demo-22", "--owner=70017", record},
		{"add", "--tap=demo-22", "--owner=70017", "--mac=" + mac, "--host-ports=53/sctp", record},
		{"add", "--tap=", "--owner=0", "--mac=" + mac, "--host-address=", record},
		{"add", "--tap=sixteen-bytes-xx", "--owner=70017", "--mac=" + mac, record},
		{"add", "--tap=demo-22", "--owner=0", "--mac=" + mac, record},
		{"remove"},
	} {
		if err := run(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
