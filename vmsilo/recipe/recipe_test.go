package recipe

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := parse("/r/mine.toml", []byte(`
suite = "trixie" # the newest
mirrors = ["https://example.org/debian", "deb http://example.org/x trixie main"]
packages = [
  "systemd", # PID 1
  "libc6:amd64", "g++=4:14.2.0-1",
]
commands = ["a 'b'", """
one
two"""]
[files]
"/etc/b" = "b"
"/etc/a" = "/srv/a"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{
		Suite:    "trixie",
		Mirrors:  []string{"https://example.org/debian", "deb http://example.org/x trixie main"},
		Packages: []string{"systemd", "libc6:amd64", "g++=4:14.2.0-1"},
		Commands: []string{"a 'b'", "one\ntwo"},
		Files:    []File{{"/r/b", "/etc/b"}, {"/srv/a", "/etc/a"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{"", "r.toml:1:1: a recipe needs suite"},
		{"suite = \"x\"\nsuite = \"y\"", "r.toml:2:1: "},
		{"suite = ", "r.toml:1:"},
		{"SUITE = \"x\"", `r.toml:1:1: unknown key "SUITE"`},
		{"suite = 13", "r.toml:1:9: suite must hold strings"},
		{"suite = \"--help\"", `r.toml:1:9: "--help" will not do for suite`},
		{"\npackages = [\"a\",\n  \"-o\", 1]", "r.toml:3:3: \"-o\" will not do for packages\nr.toml:3:9: packages must hold strings"},
		{"packages = \"a\"", "r.toml:1:1: packages must be a list of strings"},
		{"packages = [[\"a\"]]", "packages must hold strings"},
		{"mirrors = [\"--verbose\"]", `"--verbose" will not do for mirrors`},
		{"[image]\na = 1\n[files]\n\"etc/a\" = \"a\"", "r.toml:1:2: unknown table \"image\"; there is [files]\nr.toml:4:1: \"etc/a\" must be an absolute path"},
		{"[files]\n\"/a/../b\" = \"a\"", "r.toml:2:1: \"/a/../b\" must be an absolute path"},
		{"[files]\n/etc/a = \"a\"", "r.toml:2:"},
		{"[files]\na.b = \"a\"", `r.toml:2:1: a key or table of a recipe has one part; "a.b" needs quotes`},
		{"[[files]]\n", "unknown table"},
		{"[files]\n\"/a\" = \"\"", `"" will not do for /a`},
	} {
		_, err := parse("r.toml", []byte(test.data))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", test.data, err, test.want)
		}
	}
}

func TestShipped(t *testing.T) {
	folder := "../../guest/image/recipes"
	paths, err := filepath.Glob(filepath.Join(folder, "*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recipes: %v", err)
	}
	for _, path := range paths {
		r, err := Load(folder, strings.TrimSuffix(filepath.Base(path), ".toml"))
		if err != nil {
			t.Error(err)
		} else if len(r.Packages) == 0 {
			t.Errorf("%s has no packages", path)
		}
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	if err := os.WriteFile("mine.toml", []byte(`suite = "sid"`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mine", "./mine.toml", folder + "/mine.toml"} {
		if r, err := Load(folder, name); err != nil || r.Suite != "sid" {
			t.Errorf("%q: %v, %v", name, r, err)
		}
	}
	if _, err := Load(folder, "other"); err == nil || err.Error() != `no recipe is named "other"` {
		t.Error(err)
	}
}
