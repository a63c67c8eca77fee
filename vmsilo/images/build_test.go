package images

import (
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
		if err := copyTo(filepath.Join(from, source), filepath.Join(to, target)); err != nil {
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
	if err := copyTo("/dev/null", filepath.Join(to, "null")); err == nil {
		t.Error("a device was copied")
	}
}

func TestShellQuote(t *testing.T) {
	if got, want := shellQuote(`it's $x`), `'it'\''s $x'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
