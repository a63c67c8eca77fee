package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

var alice = account{uid: 12345, gid: 12346}

func asRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIP: giving a folder away needs root")
	}
	runtime.LockOSThread()
	dir := t.TempDir()
	// Temporary folders may be closed to others on the way.
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil && !errors.Is(err, os.ErrPermission) {
			t.Fatal(err)
		}
		if filepath.Dir(d) == os.TempDir() {
			break
		}
	}
	return dir
}

func mustOwn(t *testing.T, path string, uid, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != uid || st.Gid != gid || info.Mode() != os.ModeDir|mode {
		t.Errorf("%s: uid %d, gid %d, mode %v", path, st.Uid, st.Gid, info.Mode())
	}
}

func TestMakeHome(t *testing.T) {
	dir := asRoot(t)
	home := filepath.Join(dir, "demo")
	if err := makeHome(home, alice); err != nil {
		t.Fatal(err)
	}
	mustOwn(t, home, 12345, 12346, 0o700)
	// What is there is left as it is.
	if err := errors.Join(os.Chown(home, 7, 8), os.Chmod(home, 0o750)); err != nil {
		t.Fatal(err)
	}
	if err := makeHome(home, alice); err != nil {
		t.Fatal(err)
	}
	mustOwn(t, home, 7, 8, 0o750)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestMakeHomeInUsersFolder(t *testing.T) {
	dir := asRoot(t)
	if err := os.Chown(dir, alice.uid, alice.gid); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "demo")
	if err := makeHome(home, alice); err != nil {
		t.Fatal(err)
	}
	mustOwn(t, home, 12345, 12346, 0o700)
}

func TestMakeHomeRefuses(t *testing.T) {
	dir := asRoot(t)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "real"), 0o755))
	must(os.Symlink("real", filepath.Join(dir, "link")))
	must(os.Symlink("/nowhere", filepath.Join(dir, "dangling")))
	must(os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(os.Mkdir(filepath.Join(dir, "bobs"), 0o700))
	must(os.Chown(filepath.Join(dir, "bobs"), 555, 555))
	for path, want := range map[string]string{
		"link":         "symbolic link",
		"link/demo":    "symbolic link",
		"dangling":     "symbolic link",
		"file":         "not a folder",
		"missing/demo": "is not there",
		"bobs/demo":    "belongs to neither",
	} {
		err := makeHome(filepath.Join(dir, path), alice)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	for path, want := range map[string]string{
		"link": "symbolic link", "link/demo": "symbolic link", "file": "not a folder", "missing": "it is not there",
		"missing/demo": "is not there",
	} {
		err := run([]string{filepath.Join(dir, path)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("looking at %s: got %v, want %q", path, err, want)
		}
	}
	must(run([]string{filepath.Join(dir, "bobs")}))
	mustOwn(t, filepath.Join(dir, "real"), 0, 0, 0o755)
	if entries, _ := os.ReadDir(filepath.Join(dir, "real")); len(entries) != 0 {
		t.Errorf("made behind the link: %v", entries)
	}
}

func TestLookUp(t *testing.T) {
	if got, err := lookUp("4242424"); err == nil || !strings.Contains(err.Error(), "no user has") {
		t.Errorf("a uid that nobody has: %v, %v", got, err)
	}
	if got, err := lookUp("root"); err != nil || got != (account{0, 0}) {
		t.Errorf("root: %v, %v", got, err)
	}
	if _, err := lookUp("no-such-user"); err == nil {
		t.Error("a user who is not there is found")
	}
}
