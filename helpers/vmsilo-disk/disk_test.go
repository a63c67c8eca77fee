package main

import (
	"os"
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
	if err := run([]string{"create", "--size=10737418240", file}); err != nil {
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
		if err := run([]string{"remove", file}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("the disk is still there: %v", err)
	}
}

func TestCreateFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "no-such-folder", "ephemeral.qcow2")
	err := run([]string{"create", "--size=1048576", file})
	if err == nil || !strings.Contains(err.Error(), "no-such-folder") {
		t.Errorf("got %v", err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"frob", "x"},
		{"create", "--size=1"},
		{"create", "--size=0", "x"},
		{"create", "--size=-1", "x"},
		{"remove"},
	} {
		if err := run(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
