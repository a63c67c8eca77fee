package main

import (
	"os"
	"path/filepath"
	"testing"

	"vmsilo/guest/internal/cmdline"
)

func loader(line string) func() (cmdline.Params, error) {
	return func() (cmdline.Params, error) { return cmdline.Parse(line) }
}

func TestRun(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "etc", "hostname")

	for _, line := range []string{"quiet", "vmsilo.name=../x"} {
		if err := run(loader(line), root); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(file); err == nil {
		t.Error("a file was made without a name")
	}
	if err := run(loader("vmsilo.name=bank vmsilo.home=floppy"), root); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "bank\n" {
		t.Errorf("holds %q", got)
	}
	if err := run(loader("vmsilo.name=bank"), root, "more"); err == nil {
		t.Error("a second argument passes")
	}
}
