package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
	if err := makeHome(home, "", alice); err != nil {
		t.Fatal(err)
	}
	mustOwn(t, home, 12345, 12346, 0o700)
	// What is there is left as it is.
	if err := errors.Join(os.Chown(home, 7, 8), os.Chmod(home, 0o750)); err != nil {
		t.Fatal(err)
	}
	if err := makeHome(home, "", alice); err != nil {
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
	if err := makeHome(home, "", alice); err != nil {
		t.Fatal(err)
	}
	mustOwn(t, home, 12345, 12346, 0o700)
}

func TestTemplate(t *testing.T) {
	dir := asRoot(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	template := filepath.Join(dir, "template")
	must(os.MkdirAll(filepath.Join(template, ".config", "deep"), 0o755))
	must(os.WriteFile(filepath.Join(template, ".config", "deep", "run"), []byte("#!/bin/sh"), 0o644))
	must(os.Chmod(filepath.Join(template, ".config", "deep", "run"), 0o4755))
	must(os.Symlink("../../etc/shadow", filepath.Join(template, "link")))
	must(os.Chmod(filepath.Join(template, ".config"), 0o555))
	check := func(home string) {
		t.Helper()
		mustOwn(t, home, 12345, 12346, 0o700)
		mustOwn(t, filepath.Join(home, ".config"), 12345, 12346, 0o755)
		info, err := os.Lstat(filepath.Join(home, ".config", "deep", "run"))
		must(err)
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o755 || st.Uid != 12345 {
			t.Errorf("%v, uid %d", info.Mode(), st.Uid)
		}
		if target, err := os.Readlink(filepath.Join(home, "link")); err != nil || target != "../../etc/shadow" {
			t.Errorf("%q, %v", target, err)
		}
	}
	// Where root alone can make it, with what an earlier run left; and where the user can.
	roots, users := filepath.Join(dir, "roots"), filepath.Join(dir, "users")
	must(errors.Join(os.Mkdir(roots, 0o755), os.Mkdir(users, 0o700), os.Chown(users, alice.uid, alice.gid)))
	must(os.MkdirAll(filepath.Join(roots, ".demo.new", "half"), 0o700))
	must(errors.Join(os.Chown(filepath.Join(roots, ".demo.new", "half"), alice.uid, alice.gid), os.Chown(filepath.Join(roots, ".demo.new"), alice.uid, alice.gid)))
	for _, around := range []string{roots, users} {
		must(makeHome(filepath.Join(around, "demo"), template, alice))
		check(filepath.Join(around, "demo"))
		if entries, _ := os.ReadDir(around); len(entries) != 1 {
			t.Errorf("left behind: %v", entries)
		}
	}
	// Filled once.
	must(os.Remove(filepath.Join(roots, "demo", "link")))
	must(makeHome(filepath.Join(roots, "demo"), template, alice))
	if _, err := os.Lstat(filepath.Join(roots, "demo", "link")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("filled again: %v", err)
	}
	must(makeHome(filepath.Join(roots, "bare"), filepath.Join(dir, "no-template"), alice))
	mustOwn(t, filepath.Join(roots, "bare"), 12345, 12346, 0o700)
}

// A template that cannot be copied leaves nothing.
func TestTemplateRefuses(t *testing.T) {
	dir := asRoot(t)
	for name, spoil := range map[string]func(template string) error{
		"neither a file, a folder": func(p string) error { return syscall.Mkfifo(filepath.Join(p, "fifo"), 0o644) },
		"permission denied":        func(p string) error { return os.WriteFile(filepath.Join(p, "secret"), nil, 0o600) },
	} {
		template := filepath.Join(dir, "template")
		if err := errors.Join(os.MkdirAll(filepath.Join(template, "a"), 0o755), spoil(template)); err != nil {
			t.Fatal(err)
		}
		err := makeHome(filepath.Join(dir, "demo"), template, alice)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
		os.RemoveAll(template)
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("left behind: %v", entries)
		}
	}
}

// As in its unit, where root has no rights on what is in a closed home.
func TestClosedHome(t *testing.T) {
	dir := asRoot(t)
	closed := filepath.Join(dir, "alice")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.Mkdir(filepath.Join(closed, "share"), 0o700),
		os.Chown(filepath.Join(closed, "share"), alice.uid, alice.gid), os.Chown(closed, alice.uid, alice.gid)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// A thread that stays locked ends here, and with it what it has given up.
		runtime.LockOSThread()
		keep := uint32(1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_CHOWN)
		data := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
			t.Error(err)
		}
		if err := makeHome(filepath.Join(closed, "home"), "", alice); err != nil {
			t.Error(err)
		}
		if err := lookAt(filepath.Join(closed, "share"), alice); err != nil {
			t.Error(err)
		}
		if err := lookAt(filepath.Join(closed, "share"), account{555, 555}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("somebody else's: %v", err)
		}
	}()
	<-done
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
		err := makeHome(filepath.Join(dir, path), "", alice)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	for path, want := range map[string]string{
		"link": "symbolic link", "link/demo": "symbolic link", "file": "not a folder", "missing": "it is not there",
		"missing/demo": "is not there",
	} {
		err := lookAt(filepath.Join(dir, path), alice)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("looking at %s: got %v, want %q", path, err, want)
		}
	}
	must(lookAt(filepath.Join(dir, "bobs"), alice))
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
