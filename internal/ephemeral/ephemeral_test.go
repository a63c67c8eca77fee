package ephemeral

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCreateAndRemove(t *testing.T) {
	file := filepath.Join(t.TempDir(), "-ephemeral, 100% demo.qcow2")
	if err := os.WriteFile(file, []byte("left by an earlier run"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := Create(file, 10<<30); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	// The header of docs/interop/qcow2.rst of QEMU: magic, and the size at byte 24.
	if err != nil || string(data[:4]) != "QFI\xfb" || string(data[24:32]) != "\x00\x00\x00\x02\x80\x00\x00\x00" {
		t.Fatalf("not a qcow2 of 10 GiB: %v %x", err, data[:32])
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if allocated := info.Sys().(*syscall.Stat_t).Blocks * 512; allocated > 1<<20 {
		t.Errorf("an empty disk takes %d bytes", allocated)
	}
	for range 2 {
		if err := Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("the disk is still there: %v", err)
	}
}

// What a VMM that its guest has taken over has left in its place is replaced, and not followed.
func TestCreateReplaces(t *testing.T) {
	file, others := filepath.Join(t.TempDir(), "ephemeral.qcow2"), t.TempDir()
	other := filepath.Join(others, "other")
	if err := errors.Join(os.WriteFile(other, []byte("another's"), 0o600), os.Chmod(others, 0o750)); err != nil {
		t.Fatal(err)
	}
	for _, plant := range []string{
		`ln -s "$2/other" "$1"`,
		`ln -s "$2" "$1"`,
		`mkdir -p "$1/x/y" && ln -s "$2" "$1/x/link" && ln -s "$2/other" "$1/x/y/z"`,
		// Not even its owner enters it.
		`mkdir -p "$1/x/y" && touch "$1/x/y/z" && chmod 000 "$1/x/y" "$1/x" "$1"`,
		`mkfifo "$1"`,
	} {
		if out, err := exec.Command("sh", "-c", plant, "sh", file, others).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", plant, err, out)
		}
		if err := Create(file, 1<<20); err != nil {
			t.Fatalf("%s: %v", plant, err)
		}
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: %v, %v", plant, info, err)
		}
		if data, err := os.ReadFile(other); err != nil || string(data) != "another's" {
			t.Errorf("%s: %q, %v", plant, data, err)
		}
		if info, err := os.Stat(others); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v, %v", plant, info, err)
		}
		if err := Remove(file); err != nil {
			t.Fatalf("%s: %v", plant, err)
		}
	}
}

func TestCreateFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "no-such-folder", "ephemeral.qcow2")
	if err := Create(file, 1<<20); err == nil || !strings.Contains(err.Error(), "no-such-folder") {
		t.Errorf("got %v", err)
	}
	for _, size := range []int64{0, -1} {
		if err := Create(filepath.Join(t.TempDir(), "x"), size); err == nil {
			t.Errorf("%d is taken", size)
		}
	}
}
