package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNeeds(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("kernel"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", path("loop")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--file=kernel=" + path("kernel"), "--programs=dash=sh bash=bash"}, nil},
		{[]string{"--file=kernel=" + path("none")}, []string{`VM "demo"`, "its kernel", path("none"), "not there"}},
		{[]string{"--file=root=" + path("fifo")}, []string{"its root", "neither a regular file"}},
		{[]string{"--file=root=" + path("loop")}, []string{"its root", "cannot be looked at"}},
		{[]string{"--file=root=" + dir}, []string{"neither"}},
		{[]string{"--programs=qemu-system-x86=no-such-qemu"}, []string{`"no-such-qemu"`, "package qemu-system-x86"}},
		{[]string{"--programs=dash=sh virtiofsd=/no/such/virtiofsd", "--file=initrd=/no/initrd"}, []string{"package virtiofsd", "its initrd"}},
	} {
		folder := filepath.Join(dir, "userdb")
		err := run(folder, append([]string{"add", "--vm=demo", "--uid=70003"}, c.args...))
		if _, statErr := os.Stat(folder); (err == nil) != (statErr == nil) {
			t.Errorf("%q: error %v, but records: %v", c.args, err, statErr)
		}
		os.RemoveAll(folder)
		if c.want == nil {
			if err != nil {
				t.Errorf("%q: %v", c.args, err)
			}
			continue
		}
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: want one line, got %v", c.args, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q is not in %q", c.args, part, err)
			}
		}
	}
}

// Whose folder is right below /tmp could make it a link to any other. The folder of this test is the tester's own.
func TestOfOthers(t *testing.T) {
	own, err := os.MkdirTemp("/tmp", "need")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(own)
	file := filepath.Join(own, "folder", "kernel")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if problem := lookAtFile("kernel", file); problem != "" {
		t.Error(problem)
	}
	if err := errors.Join(os.Chown(filepath.Dir(file), 1000, 1000), os.Lchown(file, 1000, 1000)); err != nil {
		t.Fatal(err)
	}
	if problem := lookAtFile("kernel", file); problem != "" {
		t.Errorf("what is further below may be anybody's: %s", problem)
	}
	if err := os.Chown(own, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, "/srv/.." + file} {
		if problem := lookAtFile("kernel", path); !strings.Contains(problem, own+`", which has to be root's own`) {
			t.Errorf("%q: %q", path, problem)
		}
	}
	if problem := lookAtFile("kernel", "/etc/passwd"); problem != "" {
		t.Error(problem)
	}
}
