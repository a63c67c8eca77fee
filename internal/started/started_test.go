package started

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "started")
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
	for _, want := range []Record{{"a", map[string]string{"root": "1 2"}}, {Config: "b"}} {
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil || got.Config != want.Config || !maps.Equal(got.Files, want.Files) {
			t.Errorf("got %v, want %v, error %v", got, want, err)
		}
	}
}

// A file in the place of another is another one, and so is one that was written to.
func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	seen := map[string]bool{}
	look := func(what string, differs bool) {
		t.Helper()
		state, err := State(path)
		if err != nil || seen[state] == differs {
			t.Errorf("%s: %q, differs: %v, error %v", what, state, !seen[state], err)
		}
		seen[state] = true
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "one")
	look("the first", true)
	look("the same", false)
	write(path, "longer")
	look("written to", true)
	write(path+"2", "longer")
	if err := os.Rename(path+"2", path); err != nil {
		t.Fatal(err)
	}
	look("another", true)
	if _, err := State(path + "3"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
