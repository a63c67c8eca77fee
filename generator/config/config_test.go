package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hypervisors are the VMMs of these tests.
var hypervisors = []Hypervisor{
	{"crosvm", nil},
	{"cloud-hypervisor", []Feature{GPU, OwnDisks}},
	{"qemu", []Feature{GPU, Audio}},
}

// load writes files into a folder and reads it as the whole configuration.
func load(t testing.TB, files map[string]string) *Config {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Load([]string{folder}, hypervisors)
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1K": 1 << 10, "512M": 512 << 20, "3G": 3 << 30, "2T": 2 << 40,
		"8388607T": 8388607 << 40,
	} {
		if got, ok := ParseSize(text); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "G", "1g", "1GG", "1.5G", "-1G", "+1G", " 1G", "1 G", "1_0", "0x10", "8388608T", "99999999999999999999"} {
		if got, ok := ParseSize(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestParseTimeSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "90": 90 * time.Second, "5min": 5 * time.Minute, "1h 30min": 90 * time.Minute,
		"1h30min": 90 * time.Minute, "2 h": 2 * time.Hour, "500ms": 500 * time.Millisecond, " 1s ": time.Second,
		"1w 2d": 9 * 24 * time.Hour,
	} {
		if got, ok := parseTimeSpan(text); !ok || got.Duration != want {
			t.Errorf("%q: %v, %v", text, got.Duration, ok)
		}
	}
	for _, text := range []string{"", "0", "0s", "s", "5 parsecs", "-5s", "1.5h", "5s;", "5s\nExecStart=x", "9999999999999y", "1h-", "60y 60y", "1.5h"} {
		if got, ok := parseTimeSpan(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got, ok := parseTimeSpan("infinity"); !ok || !got.Infinite {
		t.Errorf("infinity: %v, %v", got, ok)
	}
}

func TestDidYouMean(t *testing.T) {
	candidates := []string{"id", "memory", "hypervisor", "crosvm", "qemu"}
	for word, want := range map[string]string{
		"memroy": "memory", "qmeu": "qemu", "hypervizor": "hypervisor", "ip": "id", "frob": "", "": "",
	} {
		got := didYouMean(word, candidates)
		if want == "" && got != "" || want != "" && !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("%q: %q", word, got)
		}
	}
}

// Nothing that can have the name of a configuration file may hold the generator up.
func TestOddFiles(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(path("fifo.toml"), 0o644))
	must(os.Mkdir(path("folder.toml"), 0o755))
	must(os.Symlink("loop.toml", path("loop.toml")))
	must(os.Symlink("/dev/zero", path("device.toml")))
	must(os.Symlink("/nowhere", path("dangling.toml")))
	must(os.Symlink("/dev/null", path("masked.toml")))
	must(os.WriteFile(path("huge.toml"), nil, 0o644))
	must(os.Truncate(path("huge.toml"), 1<<30))
	must(os.WriteFile(path("good.toml"), []byte("id = 3\n"), 0o644))
	must(os.WriteFile(path(".hidden.toml"), []byte("id = x"), 0o644))
	must(os.WriteFile(path("readme.txt"), []byte("id = x"), 0o644))
	c := Load([]string{folder}, hypervisors)
	for name, want := range map[string]string{
		"fifo": "a FIFO", "folder": "a directory", "loop": "too many", "device": "a device",
		"dangling": "no such file", "huge": "1 MiB",
	} {
		errs := c.Broken[name].Errors
		if len(errs) != 1 || !strings.Contains(errs[0].Message, want) {
			t.Errorf("%s: %v, want %q", name, errs, want)
		}
	}
	if len(c.Broken) != 6 || len(c.VMs) != 1 || c.VMs[0].Name != "good" {
		t.Errorf("%d are broken; %d VMs", len(c.Broken), len(c.VMs))
	}
}

// Who may not read a folder that systemd may read is told what to do. Of files, vmsilo-generator's tests have one.
func TestUnreadableFolder(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	// Without root's right to read everything, which this thread gives away: setfsuid(2).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	_, errs := find([]string{folder})
	if err := unix.Setfsuid(os.Getuid()); err != nil {
		t.Fatal(err)
	}
	if want := "this folder cannot be listed: permission denied\n    hint: everybody reads it who asks about VMs: sudo chmod a+rx " + folder; len(errs) != 1 || !strings.HasSuffix(errs[0].Error(), want) {
		t.Errorf("got %v, want %s", errs, want)
	}
}

// What is wrong is said in little, however much is wrong: the text goes into a unit file and an argument.
func TestErrorsAreBounded(t *testing.T) {
	keys := make([]string, 5000)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d = %d", i, i)
	}
	for name, text := range map[string]string{
		"many errors in one line": "id = 3\nroot_overlay = {" + strings.Join(keys[:4000], ", ") + "}\n",
		"many errors":             strings.Join(keys[:4000], "\n"),
		"a long line":             "memroy = \"" + strings.Repeat("x", 500_000) + "\"\n",
		"a long value":            "hypervisor = \"" + strings.Repeat("é", 300_000) + "\"\n",
		"a long key":              strings.Repeat("k", 500_000) + " = 1\n",
	} {
		c := load(t, map[string]string{"demo.toml": text})
		size := 0
		for _, e := range c.Broken["demo"].Errors {
			size += len(e.Error())
		}
		if size == 0 || size > 1<<20 {
			t.Errorf("%s: %d bytes", name, size)
		}
	}
}

func TestTooManyKeys(t *testing.T) {
	var lines, inline strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&lines, "k%d=1\n", i)
		fmt.Fprintf(&inline, "k%d=1,", i)
	}
	for text, want := range map[string]string{
		lines.String():                             "demo.toml:4097:1: ",
		"id = 3\nx = {" + inline.String() + "}":    "demo.toml:2:1: ",
		"x = [{" + inline.String() + "}]":          "demo.toml:1:1: ",
		strings.Repeat("a.", 400_000) + "b = 1":    "demo.toml:1:1: ",
		"[" + strings.Repeat("a.", 400_000) + "b]": "demo.toml:1:2: ",
	} {
		errs := load(t, map[string]string{"demo.toml": text}).Errors()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), want+"this file has more than 4096 keys") {
			t.Errorf("%v, want %s", errs, want)
		}
	}
}

func TestBrokenVMsKeepTheirIDs(t *testing.T) {
	c := load(t, map[string]string{
		"a.toml": "id = 3\nmemroy = 5\n", "b.toml": "id = 3\n", "c.toml": "", "d.toml": "", "e.toml": "id = 4\n",
	})
	for name, want := range map[string]string{
		"b": "id 3 is also that of a", "c": "write id = 6", "d": "write id = 7",
	} {
		if errs := c.Broken[name].Errors; len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: %v, want %q", name, errs, want)
		}
	}
	if len(c.VMs) != 1 || c.VMs[0].Name != "e" {
		t.Errorf("%d VMs", len(c.VMs))
	}
}

// A VM that is broken otherwise has an id, disks and dependencies all the same: it may be running.
func TestBrokenVMsClash(t *testing.T) {
	c := load(t, map[string]string{
		"a.toml": "id = 3\nmemroy = 5\ndepends_on = [\"nobody\"]\n[disks.d]\npath = \"/srv/d\"\n",
		"b.toml": "id = 3\n[disks.e]\npath = \"/srv/d\"\n",
	})
	for name, want := range map[string]string{
		"a": "unknown key; id 3 is also that of b; there is no VM; is also the disk of b:e",
		"b": "id 3 is also that of a; is also the disk of a:d",
	} {
		errs := c.Broken[name].Errors
		for n, part := range strings.Split(want, "; ") {
			if n >= len(errs) || !slices.ContainsFunc(errs, func(e Error) bool { return strings.Contains(e.Message, part) }) {
				t.Errorf("%s: %v, want %q", name, errs, part)
			}
		}
	}
}

func TestFolders(t *testing.T) {
	folder := t.TempDir()
	good, file := filepath.Join(folder, "good"), filepath.Join(folder, "file")
	if err := os.Mkdir(good, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(good, "a.toml"), file} {
		if err := os.WriteFile(path, []byte("id = 3\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c := Load([]string{good, filepath.Join(folder, "missing")}, hypervisors); len(c.VMs) != 1 || len(c.Errors()) != 0 {
		t.Errorf("a missing folder: %v", c.Errors())
	}
	c := Load([]string{good, file}, hypervisors)
	if errs := c.Errors(); len(errs) != 1 || !strings.Contains(errs[0].Message, "cannot be listed") || c.Broken["a"].Errors == nil {
		t.Errorf("a file for a folder: %v", errs)
	}
}

// A key is a line of the schema, of the reference, of a sample and of a golden case.
func TestEveryKeyIsDocumentedAndTried(t *testing.T) {
	reference := readAllOf(t, "../../docs/vmsilo.toml.5.md")
	samples := readAllOf(t, "../../conf.d/*.toml")
	cases := readAllOf(t, "../vmsilo-generator/testdata/*/etc/*.toml")
	var d decoder
	for _, fields := range [][]field{
		d.vmFields(&VM{}, &imageKeys{}), d.interfaceFields(&Interface{}), d.overlayFields(&Overlay{}), d.soundFields(&Sound{}),
		d.shareFields(&SharedDirectory{}), d.diskFields(&Disk{}), d.hostFields(&Host{}, nil), d.subnetFields(&Host{}),
	} {
		for _, f := range fields {
			// A line that begins with the names that it explains.
			if !regexp.MustCompile(`(?m)^\*\*(\w+\*\*, \*\*)*` + f.name + `\*\*.*\n: `).MatchString(reference) {
				t.Errorf("the reference does not explain %q", f.name)
			}
			used := regexp.MustCompile(`(?m)(^|[\[.{, #])` + f.name + `\b`)
			if !used.MatchString(samples) {
				t.Errorf("no sample has %q", f.name)
			}
			if !used.MatchString(cases) {
				t.Errorf("no golden case has %q", f.name)
			}
		}
	}
}

// readAllOf returns what the files that match a pattern hold.
func readAllOf(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no file: %v", pattern, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// FuzzLoad looks for text that makes the parser panic, or that is accepted with values outside their ranges.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("../vmsilo-generator/testdata/*/etc/*.toml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		text, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{
		"\ufeffid = 3", "id = 3\r\n", "a.b.c = 1\n[a]\n", "[[a]]\n[a.b]\n", "x = {a.b = 1, c = [{}, {d = [[]]}]}",
		"id = 1979-05-27", "id = 0x_1", "\"\" = 1", "network = 3", "network.interfaces = {}", "[defaults]\nid = 4",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"demo.toml", "vmsilo.toml"} {
			c := load(t, map[string]string{name: text, "other.toml": "id = 9999"})
			for _, e := range c.Errors() {
				if e.Error() == "" || strings.Contains(e.Message, "unstable") || strings.Contains(e.Message, "map[") {
					t.Errorf("%q: %q", text, e.Error())
				}
			}
			for _, vm := range c.VMs {
				if vm.ID < 3 || vm.ID > 9999 || vm.CPUs < 1 || vm.Memory < 64<<20 || !filepath.IsAbs(vm.Kernel) {
					t.Errorf("%q is accepted as %+v", text, vm)
				}
			}
		}
	})
}
