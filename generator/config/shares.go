package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

const (
	// HomeTag is the tag of the shared home.
	HomeTag = "home"
	// HomeTarget is where the guest has its home.
	HomeTarget = "/home/user"
	// maxTag is how long a tag of virtio-fs may be, in bytes: virtio 1.2, 5.11.4.
	maxTag = 36
	// maxShares is how many shared directories a VM has room for: PCI devices 0x07 to 0x0f, and functions of the home's.
	maxShares = 16
)

const tagRule = "a tag is a letter or digit and up to 35 of A-Z, a-z, 0-9, _, . and -"

func (d *decoder) sharedDirectories(vm *VM) func(*Node) {
	return d.atMost(maxShares, "shared directories", d.tables(func(name string, n *Node) {
		switch {
		case name == HomeTag:
			d.errorf(n.key, "choose another tag, or give shared_home a path", "the tag %q is the shared home's", HomeTag)
			return
		case !isName(name, maxTag):
			d.errorf(n.key, tagRule, "%q is not a share's tag", name)
			return
		}
		s := SharedDirectory{Tag: name}
		d.table(d.shareFields(&s)...)(n)
		d.required(n, "source", "target")
		vm.SharedDirectories = append(vm.SharedDirectories, s)
	}))
}

func (d *decoder) shareFields(s *SharedDirectory) []field {
	return []field{
		{"source", d.text(&s.Source, checkSource)},
		{"target", d.text(&s.Target, checkTarget)},
		{"read_only", d.bool(&s.ReadOnly)},
	}
}

// checkSource wants a path on the host that systemd can put before virtiofsd: systemd 257 loses a quote in the paths of
// BindPaths= on its way to the process.
func checkSource(s string) string {
	problem := absolute(s)
	switch {
	case problem != "":
	case s != filepath.Clean(s):
		problem = fmt.Sprintf("%q is not the plain form of a path: write %q", s, filepath.Clean(s))
	case strings.ContainsAny(s, `"'`):
		problem = fmt.Sprintf("%q has a quote in it, which systemd cannot bind", s)
	}
	return problem
}

var (
	// systemTrees are the guest's system's alone: a folder of the host there, or below, would change what the guest is.
	systemTrees = []string{
		"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys",
		"/tmp", "/usr", "/var/lib/dbus", "/var/lib/systemd", "/var/lock", "/var/log", "/var/run", "/var/tmp",
	}
	// systemFolders have something of the system in them, which a folder of the host would hide; below them is room.
	// The home is shared_home's.
	systemFolders = []string{"/", "/home", HomeTarget, "/root", "/var", "/var/cache", "/var/lib", "/var/spool"}
)

// maxTarget leaves room in the 255 bytes of the name that the guest's mount unit makes of it, four for a byte.
const maxTarget = 60

// checkTarget wants a path in the guest that a share can be mounted at without hiding what the guest needs. docs/guest.md
// has the rules, which the guest holds to as well.
func checkTarget(s string) string {
	if problem := absolute(s); problem != "" {
		return problem
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune("\"'\\%$`", r) }
	below := func(tree string) bool { return s == tree || strings.HasPrefix(s, tree+"/") }
	switch {
	case s != filepath.Clean(s):
		return fmt.Sprintf("%q is not the plain form of a path: write %q", s, filepath.Clean(s))
	case strings.ContainsFunc(s, odd) || strings.HasSuffix(s, " "):
		return fmt.Sprintf("%q has a character that no mount unit can have", s)
	case len(s) > maxTarget:
		return fmt.Sprintf("%q is longer than the %d bytes that a mount unit's name has room for", s, maxTarget)
	case slices.Contains(systemFolders, s) || slices.ContainsFunc(systemTrees, below):
		return fmt.Sprintf("a share at %q would hide what the guest needs", s)
	}
	return ""
}

// checkShares finds shares of one VM that would be mounted at one place.
func (d *decoder) checkShares(vm *VM, tree *Node) {
	at := map[string]string{}
	for _, s := range vm.SharedDirectories {
		if other, taken := at[s.Target]; taken && s.Target != "" {
			n := tree.table["shared_directories"].table[s.Tag].table["target"]
			d.errorf(n.value, "give each share a target of its own", "%q is also where share %q is mounted", s.Target, other)
		}
		at[s.Target] = s.Tag
	}
}
