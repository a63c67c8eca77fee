package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"vmsilo/internal/identity"
)

func TestRecognise(t *testing.T) {
	dir := t.TempDir()
	folder, record := filepath.Join(dir, "folder"), filepath.Join(dir, "record")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := recognise(folder, record); err == nil {
		t.Error("no record is enough")
	}
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, identity.Of(&st), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := recognise(folder, record); err != nil {
		t.Error(err)
	}
	if err := recognise(dir, record); err == nil {
		t.Error("another folder is taken")
	}
}

func TestCommandIsTheSameEachTime(t *testing.T) {
	first := virtiofsd("/usr/libexec/virtiofsd", "/shared/a b", 1001, 1002)
	for range 20 {
		if again := virtiofsd("/usr/libexec/virtiofsd", "/shared/a b", 1001, 1002); !slices.Equal(first, again) {
			t.Fatalf("got %q, then %q", first, again)
		}
	}
	if !slices.Contains(first, "--shared-dir=/shared/a b") {
		t.Errorf("%q does not share the folder", first)
	}
}
