package graph

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"vmsilo/generator/machine"
)

// Fingerprint returns what tells the units of a VM from those of the same VM configured in any other way. A VM that runs
// has the one of its start in its record: internal/started. The drop-in that gives it that holds the same value.
func Fingerprint(m *machine.Machine) string {
	return sum(append(own(m), services(m).file()))
}

// sum returns a name for files that no others have.
func sum(files []File) string {
	hash := sha256.New()
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Path, b.Path) }) {
		// No path holds a NUL, and no unit file does.
		hash.Write([]byte(f.Path + "\x00"))
		hash.Write(f.Content)
		hash.Write([]byte("\x00" + f.Target + "\x00"))
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:16])
}
