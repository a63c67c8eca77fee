package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// oddFiles are names in a configuration folder that no golden case can hold, what makes each, and what is said of it.
var oddFiles = []struct {
	name, want string
	make       func(path string) error
}{
	{"fifo.toml", "this is a FIFO, and must be a regular file", func(p string) error { return syscall.Mkfifo(p, 0o644) }},
	{"device.toml", "this is a device, and must be a regular file", func(p string) error { return os.Symlink("/dev/zero", p) }},
	{"directory.toml", "this is a directory, and must be a regular file", func(p string) error { return os.Mkdir(p, 0o755) }},
	{"loop.toml", "too many levels of symbolic links", func(p string) error { return os.Symlink("loop.toml", p) }},
	{"dangling.toml", "no such file or directory", func(p string) error { return os.Symlink("/nowhere", p) }},
	{"unreadable.toml", "permission denied\n    hint: everybody reads it who asks about VMs: sudo chmod a+r /etc/vmsilo/unreadable.toml", func(p string) error { return os.WriteFile(p, []byte("id = 200\n"), 0o000) }},
	{"large.toml", "this is 1048577 bytes long, and a configuration file is 1 MiB at most", func(p string) error {
		return os.WriteFile(p, bytes.Repeat([]byte("#"), 1<<20+1), 0o644)
	}},
}

// TestCheckPrintsEveryError runs the program on a folder with a file for each kind of error, as a user to whom the
// unreadable one is that.
func TestCheckPrintsEveryError(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "vmsilo-check-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary, etc := filepath.Join(dir, "vmsilo-generator"), filepath.Join(dir, "etc")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.CopyFS(etc, os.DirFS("testdata/every-error/etc")), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, odd := range oddFiles {
		if err := odd.make(filepath.Join(etc, odd.name)); err != nil {
			t.Fatal(err)
		}
	}
	check := exec.Command(binary, "--check")
	check.Env = []string{"VMSILO_CONFIG_PATH=" + etc}
	if os.Geteuid() == 0 {
		const nobody = 65534
		check.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := check.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v, want status 1", err)
	}
	text := strings.ReplaceAll(string(out), etc, "/etc/vmsilo")
	for _, odd := range oddFiles {
		if want := "/etc/vmsilo/" + odd.name + ":1:1: " + odd.want + "\n"; !strings.Contains(text, want) {
			t.Errorf("not printed: %s", want)
		} else {
			text = strings.ReplaceAll(text, want, "")
		}
	}
	// What is left is what the golden case has, line by line, with each caret.
	want, err := os.ReadFile("testdata/every-error/want-errors")
	if err != nil || text != string(want) {
		t.Errorf("%v:\ngot:\n%s\nwant:\n%s", err, text, want)
	}
	if strings.Contains(text, "string{") || strings.Contains(text, "int64") || strings.Contains(text, "map[") {
		t.Error("a type of Go reaches the user")
	}
}

// TestSamples reads conf.d as it is, and then with every key that stands there commented out: each of these is right.
func TestSamples(t *testing.T) {
	samples := "../../conf.d"
	if _, errs := generate([]string{samples}); len(errs) > 0 {
		t.Errorf("%v", errs)
	}
	commented := regexp.MustCompile(`(?m)^#(\S)`)
	whole := t.TempDir()
	for name, text := range readTree(t, samples) {
		if err := os.WriteFile(filepath.Join(whole, name), commented.ReplaceAll([]byte(text), []byte("$1")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs := generate([]string{whole}); len(errs) > 0 {
		t.Errorf("%v", errs)
	}
}
