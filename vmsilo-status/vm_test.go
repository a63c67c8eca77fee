package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a link leads to is not looked at.
func TestAllocated(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint64{file: 1 << 20, link: 0, dir + "/none": 0} {
		if got := allocated(path); got/4096 != want/4096 {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
