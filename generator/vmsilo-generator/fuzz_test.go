package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"vmsilo/generator/graph"
)

// settings are all that the generator ever sets, and how often at most in one file.
var settings = map[string]map[string]int{
	"Unit": {
		"After": 1, "Before": 1, "BindsTo": 1, "CollectMode": 1, "Description": 1, "OnFailure": 1, "PartOf": 1, "Requires": 1,
		"SourcePath": 1,
	},
	"Service": {
		"BindPaths": 20, "BindReadOnlyPaths": 3, "DeviceAllow": 3, "Environment": 20, "ExecStart": 2,
		"LimitMEMLOCK": 1, "LimitNOFILE": 1, "MemoryDenyWriteExecute": 1, "PrivateNetwork": 1, "ProcSubset": 1, "ReadWritePaths": 1, "RestrictAddressFamilies": 1,
		"RestrictNamespaces": 1, "Slice": 1, "StateDirectory": 1, "StateDirectoryMode": 1, "SystemCallFilter": 2,
		"TemporaryFileSystem": 2, "TimeoutStartSec": 1, "TimeoutStopSec": 1, "User": 1,
	},
	"Timer":  {"OnActiveSec": 1},
	"Socket": {"Environment": 1, "Slice": 1, "SocketUser": 1},
}

// unitPath is what a drop-in's path looks like, whatever the VM's file holds.
var unitPath = regexp.MustCompile(`^(vmsilo(-[a-z]*)?@[a-z0-9-]*(:[A-Za-z0-9][A-Za-z0-9_.-]*)?\.(service|socket|timer))\.d/[45]0-vmsilo(-names|-images|-disks|-home|-sound|-wayland)?\.conf$`)

// FuzzGenerate looks for a VM's file that puts anything into a unit but a value: whatever is accepted has to come back
// from another reader of unit files as settings that the generator knows, none more often than it sets it.
func FuzzGenerate(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/etc/*.toml")
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
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(filepath.Join(folder, "demo.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		units, _ := generate([]string{folder})
		for file := range units.Files() {
			if file.Target == "" {
				checkDropin(t, file)
			}
		}
	})
}

func checkDropin(t *testing.T, file graph.File) {
	t.Helper()
	if !unitPath.MatchString(file.Path) {
		t.Errorf("a file is called %q", file.Path)
	}
	section, count := "", map[string]int{}
	for _, line := range strings.Split(strings.TrimSuffix(string(file.Content), "\n"), "\n") {
		name, value, isSetting := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case !isSetting || settings[section][name] == 0:
			t.Errorf("%s has the line %q in [%s]", file.Path, line, section)
		default:
			count[section+name]++
			if count[section+name] > settings[section][name] {
				t.Errorf("%s has more than %d of [%s] %s=:\n%s", file.Path, settings[section][name], section, name, file.Content)
			}
			checkValue(t, file, value)
		}
	}
}

// checkValue looks for what systemd would not take as a value, or not as one of this line alone: systemd.syntax(7), and
// utf8_is_valid() of systemd's basic/utf8.c.
func checkValue(t *testing.T, file graph.File, value string) {
	t.Helper()
	bad := func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
	}
	if strings.HasSuffix(value, `\`) || strings.ContainsFunc(value, bad) || !utf8.ValidString(value) {
		t.Errorf("%s has the value %q", file.Path, value)
	}
	// Every word that a value could have put there has lost its specifiers.
	if strings.Contains(strings.NewReplacer("%%", "", "%i", "").Replace(value), "%") {
		t.Errorf("%s has a specifier in %q", file.Path, value)
	}
}
