package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHugePages(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		all, free, promised, more, surplus string
		wanted                             int
		want                               string
	}{
		{"0", "0", "0", "0", "0", 0, ""},
		{"40", "32", "0", "0", "0", 32, ""},
		{"40", "31", "0", "0", "0", 32, "takes 32 huge pages of 2 MiB, and of the host's 40 there are 31 free: sysctl vm.nr_hugepages=41 "},
		{"40", "32", "2", "0", "0", 32, "there are 30 free: sysctl vm.nr_hugepages=42 "},
		{"0", "0", "0", "40", "0", 32, ""},
		{"10", "0", "0", "40", "10", 32, "there are 30 free: sysctl vm.nr_hugepages=12 "},
		{"", "0", "0", "0", "0", 1, "cannot be counted"},
	} {
		for name, text := range map[string]string{
			"nr_hugepages": c.all, "free_hugepages": c.free, "resv_hugepages": c.promised,
			"nr_overcommit_hugepages": c.more, "surplus_hugepages": c.surplus,
		} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := lookForHugePages(folder, c.wanted); got == "" != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q", c, got)
		}
	}
	// The kernel of this machine counts them, too.
	if got := lookForHugePages(hugePages, 1<<40); !strings.Contains(got, "takes 1099511627776 huge pages") {
		t.Error(got)
	}
}
