package cmdline

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
)

func addShare(p *Params, value string) error {
	tag, rest, _ := strings.Cut(value, ",")
	// The target may hold commas, so the mode is what stands after the last.
	comma := strings.LastIndexByte(rest, ',')
	if comma < 0 {
		return fmt.Errorf("%q is not TAG,TARGET,ro or TAG,TARGET,rw", value)
	}
	share := Share{Tag: tag, Target: rest[:comma], ReadOnly: rest[comma+1:] == "ro"}
	if !share.ReadOnly && rest[comma+1:] != "rw" {
		return fmt.Errorf("%q ends neither in ro nor in rw", value)
	}
	if !validTag(tag) {
		return fmt.Errorf("%q cannot be the tag of a share", tag)
	}
	if err := checkTarget(share.Target); err != nil {
		return err
	}
	for _, other := range p.Shares {
		if other.Tag == share.Tag || other.Target == share.Target {
			return fmt.Errorf("%q clashes with %s,%s", value, other.Tag, other.Target)
		}
	}
	if len(p.Shares) == MaxShares {
		return fmt.Errorf("%q is one too many: a VM has %d shares at most", value, MaxShares)
	}
	p.Shares = append(p.Shares, share)
	return nil
}

// Unit is the name of the mount unit, which systemd.mount(5) wants to be made from the target.
func (s Share) Unit() string { return unit.UnitNamePathEscape(s.Target) + ".mount" }

var (
	// systemTrees are the system's alone: a folder of the host there, or below, would change what the guest is.
	systemTrees = []string{
		"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys",
		"/tmp", "/usr", "/var/lib/dbus", "/var/lib/systemd", "/var/lock", "/var/log", "/var/run", "/var/tmp",
	}
	// systemFolders have something of the system or the user in them, which a folder of the host would hide; below
	// them is room. /home/user is vmsilo.home's.
	systemFolders = []string{"/", "/home", "/home/user", "/root", "/var", "/var/cache", "/var/lib", "/var/spool"}
)

// maxUnit leaves room in the 255 bytes of a file's name for what is put around it while it is written.
const maxUnit = 240

// checkTarget accepts an absolute path in its only form that is nothing of the system's. Its characters are those that
// a unit file takes as they are.
func checkTarget(target string) error {
	share := Share{Target: target}
	bad := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune("\"'\\%$`", r) }
	switch {
	case !path.IsAbs(target) || path.Clean(target) != target:
		return fmt.Errorf("%q is not an absolute path in its shortest form", target)
	case !utf8.ValidString(target) || strings.ContainsFunc(target, bad) || strings.HasSuffix(target, " "):
		return fmt.Errorf("%q has a character that a share's target cannot have", target)
	case len(share.Unit()) > maxUnit:
		return fmt.Errorf("%q is too long for the name of a mount unit", target)
	case slices.Contains(systemFolders, target) || slices.ContainsFunc(systemTrees, func(tree string) bool {
		return strings.HasPrefix(target+"/", tree+"/")
	}):
		return fmt.Errorf("%q is a folder of the guest's system", target)
	}
	return nil
}
