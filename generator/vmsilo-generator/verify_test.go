package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is the program of a command line, which systemd-analyze wants to find on this machine.
// That helpers and VMMs are where units say is for the tests on a host where they are installed.
var program = regexp.MustCompile(`(?m)^(Exec[A-Za-z]+=[-+!@:]*)([^\s"]+)`)

// TestVerify asks systemd whether every unit of every golden case is one that it understands wholly.
func TestVerify(t *testing.T) {
	for _, folder := range cases(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			tree := readTree(t, folder+"/want")
			// The boot is verified whole, since what it wants may close a circle.
			units := []string{"vmsilo@unknown.service", "vmsilo-run@unknown.service", "vmsilo-demand.socket", "multi-user.target"}
			for path := range tree {
				if matched, _ := filepath.Match("vmsilo*@?*.service", path); matched {
					units = append(units, path)
				}
			}
			if out, err := verify(t, tree, readTree(t, "../../units"), units...); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// The drop-in of all of a VM's services holds for each part of the VM, and for none that is masked: a wrong line in it
// shows that. The templates have nothing in them here that would pull in another.
func TestMasks(t *testing.T) {
	const shared = "vmsilo-@banking.service.d/50-vmsilo.conf"
	templates := map[string]string{}
	for path := range readTree(t, "../../units") {
		if matched, _ := filepath.Match("vmsilo-*@.service", path); matched {
			templates[path] = "[Service]\nExecStart=/bin/true\n"
		}
	}
	for template := range templates {
		tree := readTree(t, "testdata/shortest/want")
		if tree[shared] == "" {
			t.Fatalf("there is no %s", shared)
		}
		tree[shared] += "NoSuchSetting=yes\n"
		out, err := verify(t, tree, templates, strings.Replace(template, "@", "@banking", 1))
		masked := slices.Contains([]string{"vmsilo-down@.service", "vmsilo-idle@.service", "vmsilo-lost@.service"}, template)
		if masked != (err == nil) {
			t.Errorf("%s: %v: %s", template, err, out)
		}
	}
}

// verify runs systemd-analyze verify on units of a tree that the generator wrote, over templates that are installed.
func verify(t *testing.T, tree, templates map[string]string, units ...string) ([]byte, error) {
	t.Helper()
	analyze := systemdAnalyze(t)
	generated, installed := t.TempDir(), t.TempDir()
	for _, tree := range []map[string]string{tree, templates} {
		for path, content := range tree {
			tree[path] = program.ReplaceAllString(content, "${1}/bin/true")
			if target, ok := strings.CutPrefix(content, "-> "); ok {
				tree[path] = "-> " + filepath.Join(installed, filepath.Base(target))
			}
		}
	}
	writeTree(t, generated, tree)
	writeTree(t, installed, templates)
	cmd := exec.Command(analyze, append([]string{"verify", "--man=no", "--recursive-errors=yes"}, units...)...)
	// Two folders in the order that they have on a host: which drop-in takes another's place depends on that.
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+generated+":"+installed+":")
	return cmd.CombinedOutput()
}

func systemdAnalyze(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("this test needs systemd-analyze, of Debian's package systemd: %v", err)
	}
	return path
}
