package images

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCopyTo(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, mode := range map[string]os.FileMode{"a/run": 0o700, "a/b/data": 0o600} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/null", filepath.Join(from, "a/link")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"etc/x", "etc/y", "etc/x/b/data"} {
		source := "a"
		if target == "etc/x/b/data" { // over one that is there
			source = "a/run"
		}
		if err := copyTo(filepath.Join(from, source), to, target); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"etc/x/run": "-rwxr-xr-x", "etc/y/b/data": "-rw-r--r--", "etc/y/b": "drwxr-xr-x", "etc/x/link": "Lrwxrwxrwx",
	} {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v, %v, want %s", name, info.Mode(), err, want)
		}
	}
	if data, err := os.ReadFile(filepath.Join(to, "etc/x/b/data")); string(data) != "a/run" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := copyTo("/dev/null", to, "null"); err == nil {
		t.Error("a device was copied")
	}
}

func TestShellQuote(t *testing.T) {
	if got, want := shellQuote(`it's $x`), `'it'\''s $x'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A symlink of the recipe leads out of the tree, to the host's own files: nothing is written through it.
func TestCopyThroughLinks(t *testing.T) {
	from, to, host := t.TempDir(), t.TempDir(), t.TempDir()
	victim := filepath.Join(host, "victim")
	if err := errors.Join(
		os.WriteFile(victim, []byte("of the host"), 0o644), os.WriteFile(filepath.Join(from, "mine"), []byte("mine"), 0o644),
		os.Mkdir(filepath.Join(from, "tree"), 0o755),
		os.Symlink(victim, filepath.Join(from, "tree", "file")), os.Symlink(host, filepath.Join(from, "tree", "folder")),
		copyTo(filepath.Join(from, "tree"), to, "/etc"), copyTo(filepath.Join(from, "mine"), to, "/etc/file"),
	); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/etc/folder/victim", "/etc/folder/new"} {
		if err := copyTo(filepath.Join(from, "mine"), to, target); err == nil {
			t.Errorf("%s is written", target)
		}
	}
	if entries, _ := os.ReadDir(host); len(entries) != 1 {
		t.Errorf("on the host: %v", entries)
	}
	if text, _ := os.ReadFile(victim); string(text) != "of the host" {
		t.Errorf("the host's file is %q", text)
	}
}

// A built root's programs are beside it, with what is left out of them.
func TestPrograms(t *testing.T) {
	work := t.TempDir()
	b := build{work: work, say: func(string) {}}
	programs := b.path("root", "usr/share/applications")
	if err := errors.Join(
		os.Mkdir(b.path("image"), 0o755), os.MkdirAll(programs, 0o755),
		os.WriteFile(filepath.Join(programs, "a.desktop"), []byte("[Desktop Entry]\nType=Application\nName=A\nExec=a %u\nX=y\n"), 0o644),
		os.WriteFile(filepath.Join(programs, "b.desktop"), []byte("[Desktop Entry]\nType=Application\nName=B\nExec=b;c\n"), 0o644),
		b.programs(),
	); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(b.path("image", "apps", "a.desktop"))
	if want := "[Desktop Entry]\nType=Application\nName=A\nExec=a\nTerminal=false\n"; string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
	if entries, err := os.ReadDir(b.path("image", "apps")); len(entries) != 1 || err != nil {
		t.Errorf("there are %v, %v", entries, err)
	}
	if len(b.leftOut) != 1 || b.leftOut[0] != `program "b": its Exec has ';' outside of quotes` {
		t.Errorf("left out: %q", b.leftOut)
	}
}
