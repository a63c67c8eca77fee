package main

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vmsilo/generator/config"
	"vmsilo/generator/graph"
	"vmsilo/vmm/known"
)

var update = flag.Bool("update", false, "write what the generator prints as what is wanted")

// A golden case is a folder of testdata: etc/ and usr/ stand for /etc/vmsilo and /usr/lib/vmsilo,
// want/ is the whole tree that the generator writes, and want-errors what --check prints.
func cases(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no golden case: %v", err)
	}
	return folders
}

// build runs the generator on a case, with the paths that a real host would have.
func build(t *testing.T, folder string) (tree map[string]string, errText string) {
	t.Helper()
	absolute, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	real := strings.NewReplacer(absolute+"/etc", "/etc/vmsilo", absolute+"/usr", "/usr/lib/vmsilo")
	units, errs := generate([]string{absolute + "/etc", absolute + "/usr"})
	out := t.TempDir()
	// The second run meets what the first one left.
	if err := errors.Join(units.Write(out), units.Write(out)); err != nil {
		t.Fatal(err)
	}
	tree = readTree(t, out)
	if printed := printedTree(units); !maps.Equal(tree, printed) {
		t.Errorf("%s: written: %q\nprinted: %q", folder, tree, printed)
	}
	for path, content := range tree {
		// The fingerprint follows from the rest: graph's own test has it.
		tree[path] = fingerprint.ReplaceAllString(real.Replace(content), "VM_CONFIG=FINGERPRINT")
	}
	var b bytes.Buffer
	printErrors(&b, errs)
	return tree, real.Replace(b.String())
}

var fingerprint = regexp.MustCompile(`\bVM_CONFIG=[0-9a-f]{32}\b`)

// printedTree returns the files that --dry-run prints, as readTree does.
func printedTree(units *graph.Graph) map[string]string {
	tree := map[string]string{}
	for f := range units.Files() {
		if tree[f.Path] = string(f.Content); f.Target != "" {
			tree[f.Path] = "-> " + f.Target
		}
	}
	return tree
}

// readTree returns the files below folder; a symbolic link's content is "-> TARGET".
func readTree(t *testing.T, folder string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		if entry.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			tree[name] = "-> " + target
			return err
		}
		content, err := os.ReadFile(path)
		tree[name] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return tree
}

func writeTree(t *testing.T, folder string, tree map[string]string) {
	t.Helper()
	err := os.RemoveAll(folder)
	for name, content := range tree {
		path := filepath.Join(folder, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	for _, folder := range cases(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			got, errText := build(t, folder)
			if *update {
				writeTree(t, folder+"/want", got)
				if err := os.WriteFile(folder+"/want-errors", []byte(errText), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := readTree(t, folder+"/want")
			for _, path := range slices.Sorted(maps.Keys(got)) {
				if _, wanted := want[path]; !wanted {
					t.Errorf("%s is written, and not wanted", path)
				}
			}
			for _, path := range slices.Sorted(maps.Keys(want)) {
				if got[path] != want[path] {
					t.Errorf("%s:\ngot:\n%s\nwant:\n%s", path, got[path], want[path])
				}
			}
			wantErrors, err := os.ReadFile(folder + "/want-errors")
			if err != nil || errText != string(wantErrors) {
				t.Errorf("errors (%v):\ngot:\n%s\nwant:\n%s", err, errText, wantErrors)
			}
		})
	}
}

// One VM's error must not change a byte of another VM's units.
func TestIsolation(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	goodFiles := func() []graph.File {
		units, _ := generate([]string{folder})
		return slices.DeleteFunc(slices.Collect(units.Files()), func(f graph.File) bool { return !strings.Contains(f.Path, "@good") })
	}
	write("good.toml", "id = 3\n[network.interfaces.lan0]\n")
	before := goodFiles()
	for _, bad := range []string{"", "id = ", "id = 4\nmemory = 5", "id = 4\nid = 5", "\xff", "\ufeffid = 4", "id = 4\n[network.interfaces.\"a/b\"]"} {
		write("bad.toml", bad)
		c := config.Load([]string{folder}, known.Hypervisors())
		if c.Broken["bad"].Errors == nil {
			t.Errorf("%q is accepted", bad)
		}
		if after := goodFiles(); len(before) == 0 || !slices.EqualFunc(before, after, sameFile) {
			t.Errorf("%q changes another VM's units:\ngot %v\nwant %v", bad, after, before)
		}
	}
}

func sameFile(a, b graph.File) bool {
	return a.Path == b.Path && a.Target == b.Target && bytes.Equal(a.Content, b.Content)
}
