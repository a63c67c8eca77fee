package graph

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"vmsilo/generator/config"
)

// broken returns the graph of n VMs that cannot be built, each with the same errors.
func broken(n int, errs ...config.Error) *Graph {
	all := map[string]config.Broken{}
	for i := range n {
		name := fmt.Sprintf("vm%03d", i)
		all[name] = config.Broken{VM: &config.VM{Name: name, Autostart: true}, Errors: errs}
	}
	return New(nil, all)
}

func file(t *testing.T, g *Graph, path string) string {
	t.Helper()
	for f := range g.Files() {
		if f.Path == path {
			return string(f.Content)
		}
	}
	t.Fatalf("there is no %s", path)
	return ""
}

// The kernel takes no variable of 128 KiB, and one that it refused would leave the VM without any reason.
func TestRefusalIsBounded(t *testing.T) {
	e := config.Error{Position: config.Position{File: &config.File{Path: "/etc/vmsilo/a.toml"}}, Message: "wrong", Hint: strings.Repeat("é", 80_000)}
	content := file(t, broken(1, e), "vmsilo-@vm000.service.d/50-vmsilo.conf")
	if len(content) < 60_000 || len(content) > 100_000 || !utf8.ValidString(content) || !strings.Contains(content, "a.toml:1:1: wrong") {
		t.Errorf("%d bytes: %.200q", len(content), content)
	}
	content = file(t, broken(1, make12(e.File)...), "vmsilo-@vm000.service.d/50-vmsilo.conf")
	if !strings.Contains(content, "wrong 9") || strings.Contains(content, "wrong 10") || !strings.Contains(content, `\nand 2 more errors`) {
		t.Error(content)
	}
}

func make12(f *config.File) (errs []config.Error) {
	for i := range 12 {
		errs = append(errs, config.Error{Position: config.Position{File: f}, Message: fmt.Sprintf("wrong %d", i)})
	}
	return errs
}

func TestNamesAreBounded(t *testing.T) {
	const path = "vmsilo-user@.service.d/40-vmsilo-names.conf"
	for n, want := range map[int]string{
		0: "Environment=VMS=\n", 2: "\"VMS=vm000, vm001\"\n", 100: ", vm099\"\n", 103: ", vm099 and 3 more\"\n",
	} {
		if got := file(t, broken(n), path); !strings.HasSuffix(got, want) {
			t.Errorf("%d VMs: %s", n, got)
		}
	}
}

// What a run that was killed left is no obstacle, and does not stay in the place of what is right.
func TestWriteOverLeftovers(t *testing.T) {
	dir := t.TempDir()
	g := broken(300)
	for f := range g.Files() {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, left := range []string{path, path + ".tmp"} {
			if err := os.WriteFile(left, []byte("half of some"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := g.Write(dir); err != nil {
		t.Fatal(err)
	}
	for f := range g.Files() {
		path := filepath.Join(dir, f.Path)
		if target, _ := os.Readlink(path); target != f.Target {
			t.Errorf("%s -> %q", f.Path, target)
		}
		if content, err := os.ReadFile(path); f.Target == "" && (err != nil || string(content) != string(f.Content)) {
			t.Errorf("%s: %v: %q", f.Path, err, content)
		}
	}
}

// One VM whose files cannot be written keeps no other from being written, and is told.
func TestWriteError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vmsilo-@vm001.service.d"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := broken(3).Write(dir)
	if err == nil || !strings.Contains(err.Error(), "vmsilo-@vm001.service.d/50-vmsilo.conf: not a directory") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"vmsilo-@vm000.service.d", "vmsilo@vm002.service"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
