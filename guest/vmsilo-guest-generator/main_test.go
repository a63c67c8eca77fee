package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/guest/internal/cmdline"
)

var update = flag.Bool("update", false, "rewrite the expectations under testdata")

// Each folder of testdata is a case: "cmdline", "bin" with the programs of the image, an empty "initrd-release" if it happens in the initrd, "reports" with
// what is said about malformed parameters, and "want", the whole output.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*/cmdline")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			line, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			load := func() (cmdline.Params, error) { return cmdline.Parse(string(line)) }
			var reports string
			report := func(err error) { reports += err.Error() + "\n" }
			mark := filepath.Join(t.TempDir(), "vmsilo", "reported")
			for range 2 { // the second run meets the files of the first, and repeats no report
				if err := run(load, report, filepath.Join(dir, "initrd-release"), mark, []string{dir + "/bin"}, out, out, out); err != nil {
					t.Error(err)
				}
			}
			want, _ := os.ReadFile(filepath.Join(dir, "reports"))
			if reports != string(want) {
				t.Errorf("reports %q, want %q", reports, want)
			}
			compare(t, filepath.Join(dir, "want"), tree(t, out))
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// tree writes a directory's files and links down as one text.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			text.WriteString("--- " + name + " -> " + target + "\n")
			return err
		}
		data, err := os.ReadFile(path)
		text.WriteString("--- " + name + "\n" + string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestArguments(t *testing.T) {
	load := func() (cmdline.Params, error) { return cmdline.Params{}, nil }
	if err := run(load, func(error) {}, "/nowhere", filepath.Join(t.TempDir(), "mark"), nil, t.TempDir()); err == nil {
		t.Error("one argument passes")
	}
}
