package main

import (
	"encoding/base64"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/internal/apps"
)

var update = flag.Bool("update", false, "rewrite testdata/want")

// build makes an image's folder of programs of testdata/root, and the configuration of testdata/etc for that image.
func build(t *testing.T) (image string, leftOut []string) {
	t.Helper()
	image = t.TempDir()
	root, err := os.Open("testdata/root")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	all, leftOut := apps.FromRoot(root)
	if err := apps.WriteFolder(filepath.Join(image, "apps"), all); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	files, _ := filepath.Glob("testdata/etc/*.toml")
	for _, file := range files {
		text := strings.ReplaceAll(read(t, file), "IMAGE", image)
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("VMSILO_CONFIG_PATH", folder)
	return image, leftOut
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestGolden has what is in a guest's root become menus: go test -update rewrites testdata/want.
func TestGolden(t *testing.T) {
	_, leftOut := build(t)
	if want := `program "evil": its Exec has ';' outside of quotes`; strings.Join(leftOut, "\n") != want {
		t.Errorf("left out: %q", leftOut)
	}
	now, leftOut := collect("/var/lib/vmsilo/.menus")
	if len(leftOut) > 0 {
		t.Errorf("left out of what was taken: %q", leftOut)
	}
	if *update {
		if err := os.RemoveAll("testdata/want"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir("testdata/want", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := now.write("testdata/want"); err != nil {
			t.Fatal(err)
		}
	}
	for uid, files := range now {
		for name, data := range files {
			if got := read(t, filepath.Join("testdata/want", uid, name)); got != string(data) {
				t.Errorf("%s/%s is\n%s\nwant\n%s", uid, name, data, got)
			}
		}
		if !holds(filepath.Join("testdata/want", uid), files) {
			t.Errorf("testdata/want/%s has other files", uid)
		}
	}
	if len(now) != 2 {
		t.Errorf("menus of %d users", len(now))
	}
}

// An icon is one file, however many programs have it, and each names it.
func TestIcons(t *testing.T) {
	image, _ := build(t)
	icon := image + "/apps/vim.png"
	pixel, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
	if err := errors.Join(err, os.WriteFile(icon, pixel, 0o644), os.Link(icon, image+"/apps/mine.png")); err != nil {
		t.Fatal(err)
	}
	now, _ := collect("/menus")
	var icons []string
	for name := range now["1000"] {
		if strings.HasSuffix(name, ".png") {
			icons = append(icons, name)
		}
	}
	if len(icons) != 1 {
		t.Fatalf("the icons are %q", icons)
	}
	for _, program := range []string{"banking.vim", "banking.mine", "work.vim"} {
		text := string(now["1000"]["share/applications/vmsilo."+program+".desktop"])
		if !strings.Contains(text, "\nIcon=/menus/1000/"+icons[0]+"\n") {
			t.Errorf("%s is\n%s", program, text)
		}
	}
}

// Menus are written once, and again when something is another; what is no menu goes.
func TestWrite(t *testing.T) {
	image, _ := build(t)
	folder := t.TempDir()
	look := func() os.FileInfo {
		t.Helper()
		if err := run([]string{folder}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(folder, "1000"))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := look()
	// What a power cut may leave, and the menu of a user who has no VM any more.
	for _, path := range []string{".new/share", "1002/icons"} {
		if err := os.MkdirAll(filepath.Join(folder, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !os.SameFile(first, look()) {
		t.Error("what had not changed was written again")
	}
	entries, _ := os.ReadDir(folder)
	if len(entries) != 2 {
		t.Errorf("there are %v", entries)
	}
	file := filepath.Join(folder, "1000/share/applications/vmsilo.work.vim.desktop")
	for what, change := range map[string]func() error{
		"a file that is cut off": func() error { return os.Truncate(file, 3) },
		"one that is missing":    func() error { return os.Remove(file) },
		"one too many":           func() error { return os.WriteFile(file+".x", nil, 0o644) },
		"a program that is gone": func() error { return os.Remove(filepath.Join(image, "apps", "mine.desktop")) },
	} {
		before := look()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if os.SameFile(before, look()) {
			t.Errorf("%s: nothing was written", what)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "1000/share/applications/vmsilo.work.mine.desktop")); err == nil {
		t.Error("a program that is gone is in the menu")
	}
}

// One VM whose image or user will not do keeps no other from its menu.
func TestOthersAreUntouched(t *testing.T) {
	image, _ := build(t)
	folder := os.Getenv("VMSILO_CONFIG_PATH")
	if err := os.WriteFile(filepath.Join(image, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"lost.toml":  `user = "nobody-at-all"` + "\nid = 10\nimage = \"" + image + `"`,
		"wrong.toml": "id = ",
		"file.toml":  "id = 11\nimage = \"" + image + `/file"`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now, leftOut := collect("/menus")
	if len(now) != 2 || now["1000"]["share/applications/vmsilo.banking.vim.desktop"] == nil {
		t.Errorf("menus of %d users", len(now))
	}
	text := strings.Join(leftOut, "\n")
	if len(leftOut) != 2 || !strings.Contains(text, `VM "lost": "nobody-at-all" in database passwd: not found`) ||
		!strings.Contains(text, `VM "file": opening "`+image+`/file/apps": not a directory`) {
		t.Errorf("it says %q", leftOut)
	}
}
