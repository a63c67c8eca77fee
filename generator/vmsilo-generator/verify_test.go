package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// program is the program of a command line, which systemd-analyze wants to find on this machine.
// That helpers and VMMs are where units say is for the tests on a host where they are installed.
var program = regexp.MustCompile(`(?m)^(Exec[A-Za-z]+=[-+!@:]*)([^\s"]+)`)

// TestVerify asks systemd whether every unit of every golden case is one that it understands wholly.
func TestVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("this test needs systemd-analyze, of Debian's package systemd: %v", err)
	}
	for _, folder := range cases(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			tree := readTree(t, folder+"/want")
			for path, content := range readTree(t, "../../units") {
				if filepath.Ext(path) != ".build" {
					tree[path] = content
				}
			}
			// The boot is verified whole, since what it wants may close a circle.
			units := []string{"vmsilo@unknown.service", "multi-user.target"}
			for path, content := range tree {
				tree[path] = program.ReplaceAllString(content, "${1}/bin/true")
				if matched, _ := filepath.Match("vmsilo*@?*.service", path); matched {
					units = append(units, path)
				}
				// The links point into the installed folder, which is this one here.
				if len(content) > 3 && content[:3] == "-> " {
					tree[path] = "-> " + filepath.Base(content)
				}
			}
			dir := t.TempDir()
			writeTree(t, dir, tree)
			cmd := exec.Command(analyze, append([]string{"verify", "--man=no", "--recursive-errors=yes"}, units...)...)
			cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
