package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"

	"vmsilo/generator/graph"
)

// settings are all that the generator ever sets, and how often at most in one file.
var settings = map[string]map[string]int{
	"Unit": {
		"After": 1, "Before": 1, "BindsTo": 1, "CollectMode": 1, "Description": 1, "OnFailure": 1, "PartOf": 1,
		"Requires": 1, "SourcePath": 1,
	},
	"Service": {
		"BindPaths": 1, "BindReadOnlyPaths": 1, "Environment": 20, "ExecStart": 2, "Slice": 1, "TimeoutStartSec": 1,
		"TimeoutStopSec": 1, "User": 1,
	},
	"Socket": {"Environment": 1, "ExecStartPre": 2, "Slice": 1, "SocketUser": 1},
}

// unitPath is what a drop-in's path looks like, whatever the VM's file holds.
var unitPath = regexp.MustCompile(`^vmsilo(-[a-z]*)?@[a-z0-9-]*(:[A-Za-z0-9][A-Za-z0-9_.-]*)?\.(service|socket)\.d/[45]0-vmsilo(-names)?\.conf$`)

// FuzzGenerate looks for a VM's file that puts anything into a unit but a value: whatever is accepted has to come back
// from another parser of unit files as settings that the generator knows, none more often than it sets it.
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
	// The other parser takes no line longer than this; systemd takes 1 MiB.
	for _, line := range bytes.Split(file.Content, []byte("\n")) {
		if len(line) > unit.SYSTEMD_LINE_MAX-2 {
			return
		}
	}
	options, err := unit.DeserializeOptions(bytes.NewReader(file.Content))
	if err != nil {
		t.Fatalf("%s: %v:\n%s", file.Path, err, file.Content)
	}
	count := map[string]int{}
	for _, o := range options {
		count[o.Section+o.Name]++
		if most := settings[o.Section][o.Name]; count[o.Section+o.Name] > most {
			t.Errorf("%s has %d of [%s] %s=, and %d are known:\n%s", file.Path, count[o.Section+o.Name], o.Section, o.Name, most, file.Content)
		}
	}
}
