package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	for _, prepare := range []func(name string) error{
		func(string) error { return nil },
		func(name string) error { return os.WriteFile(name, []byte("a longer text than that\n"), 0o600) },
		func(name string) error { return os.Symlink(outside, name) },
		func(name string) error { return os.Symlink(outside, filepath.Join(dir, ".hostname.vmsilo")) },
	} {
		name := filepath.Join(dir, "hostname")
		os.Remove(name)
		if err := prepare(name); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, "hostname", []byte("bank\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(name)
		if err != nil || st.Mode() != 0o644 {
			t.Errorf("mode %v, error %v", st.Mode(), err)
		}
		if got, _ := os.ReadFile(name); string(got) != "bank\n" {
			t.Errorf("holds %q", got)
		}
		if _, err := os.Lstat(outside); err == nil {
			t.Fatal("a symlink was followed")
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteRefusesALinkedFolder(t *testing.T) {
	link := filepath.Join(t.TempDir(), "etc")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, "hostname", nil, 0o644); err == nil {
		t.Error("a symlink passes for the folder")
	}
}

func TestWriteKeepsAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "hostname"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, "hostname", nil, 0o644); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
