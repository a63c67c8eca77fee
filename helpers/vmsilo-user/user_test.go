package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vmsilo/internal/command"
	"vmsilo/internal/started"
)

func mustRun(t *testing.T, folder string, args ...string) {
	t.Helper()
	if err := run(folder, args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestAddAndRemove(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "userdb")
	mustRun(t, folder, "add", "--vm=demo", "--uid=70003")
	mustRun(t, folder, "add", "--vm=demo", "--uid=70003")
	for _, file := range []string{"vmsilo-demo.user", "70003.user"} {
		data, err := os.ReadFile(filepath.Join(folder, file))
		var got map[string]any
		if err != nil || json.Unmarshal(data, &got) != nil {
			t.Fatalf("%s: %v: %s", file, err, data)
		}
		if got["userName"] != "vmsilo-demo" || got["uid"] != 70003. || got["gid"] != 70003. || got["locked"] != true {
			t.Errorf("%s: %s", file, data)
		}
	}
	mustRun(t, folder, "add", "--vm=other", "--uid=70004")
	mustRun(t, folder, "remove", "--vm=demo")
	mustRun(t, folder, "remove", "--vm=demo")
	if left := names(t, folder); len(left) != 4 {
		t.Errorf("left: %q", left)
	}
	mustRun(t, folder, "remove", "--vm=other")
	if left := names(t, folder); left != nil {
		t.Errorf("left: %q", left)
	}
}

// The uid may have changed since the record was made.
func TestRemoveByRecord(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "add", "--vm=demo", "--uid=70003")
	mustRun(t, folder, "add", "--vm=demo", "--uid=70005")
	mustRun(t, folder, "remove", "--vm=demo")
	if left := names(t, folder); left != nil {
		t.Errorf("left: %q", left)
	}
}

// A VM that runs on under a uid that the configuration has given to another VM since keeps it: what that one's processes may
// do would be this one's, too.
func TestUIDOfAnother(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "add", "--vm=demo", "--uid=70003")
	before := names(t, folder)
	err := run(folder, []string{"add", "--vm=other", "--uid=70003"})
	var hinted *command.Hinted
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), `uid 70003 is still that of VM "demo"`) ||
		hinted.Hint != "systemctl stop vmsilo@demo, which runs with an id that it had before" {
		t.Errorf("got %v", err)
	}
	if left := names(t, folder); !slices.Equal(left, before) {
		t.Errorf("%q, and then %q", before, left)
	}
	mustRun(t, folder, "remove", "--vm=other")
	if target, err := os.Readlink(filepath.Join(folder, "70003.user")); target != "vmsilo-demo.user" {
		t.Errorf("%q, %v", target, err)
	}
	// What a clean-up has left that was killed is no VM.
	if err := os.Remove(filepath.Join(folder, "vmsilo-demo.user")); err != nil {
		t.Fatal(err)
	}
	mustRun(t, folder, "add", "--vm=other", "--uid=70003")
}

func TestFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: giving a folder away needs root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "vsock")
	for range 2 {
		mustRun(t, filepath.Join(dir, "userdb"), "add", "--vm=demo", "--uid=70003", "--folder="+path)
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != os.ModeDir|0o700 || info.Sys().(*syscall.Stat_t).Uid != 70003 {
			t.Errorf("%v, %v", info, err)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"frob"}, {"add", "--vm=demo"}, {"add", "--vm=demo", "--uid=-3"}, {"add", "--vm=demo", "--uid=x"}} {
		if err := run(t.TempDir(), args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// A VM that is refused has no user, whatever else is said of it.
func TestRefusals(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "userdb")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--refusal=/etc/vmsilo/demo.toml:1:1: wrong\n    ^ \"$x\" %n", "--vms=a", "--uid="}, "/etc/vmsilo/demo.toml:1:1: wrong\n    ^ \"$x\" %n"},
		{[]string{"--refusal=wrong", "--uid=70003"}, "wrong"},
		{[]string{"--refusal=", "--uid=", "--vms=a, b and 3 more", "--file=kernel="}, "no VM is named demo; there are: a, b and 3 more"},
		{[]string{"--refusal=", "--uid=", "--vms=", "--programs="}, "no VM is named demo; none is configured"},
	} {
		err := run(folder, append([]string{"add", "--vm=demo"}, c.args...))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%q: a user was made", c.args)
		}
	}
}

// What a VM is started with is noted; of a VM that cannot start there is no note.
func TestStarted(t *testing.T) {
	dir := t.TempDir()
	path, kernel := filepath.Join(dir, "started"), filepath.Join(dir, "kernel")
	args := []string{"add", "--vm=demo", "--uid=70003", "--file=kernel=" + kernel, "--started=" + path, "--config=abc"}
	if err := run(filepath.Join(dir, "userdb"), args); err == nil {
		t.Error("no kernel passes")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a start that is refused is noted")
	}
	if err := os.WriteFile(kernel, []byte("kernel"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, filepath.Join(dir, "userdb"), args...)
	state, err := started.State(kernel)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := started.Read(path); err != nil || got.Config != "abc" || got.Files["kernel"] != state {
		t.Errorf("%v, error %v, want the kernel %q", got, err, state)
	}
}
