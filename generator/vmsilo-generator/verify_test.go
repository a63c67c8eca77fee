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

// exposure is the most that systemd-analyze security may find in a unit, in tenths. What a guest's bytes reach is shut
// in the most; a helper that runs for some milliseconds of a start has what costs it none of them.
var exposure = map[string]string{
	"vmsilo@.service":         "50",
	"vmsilo-vsock@.service":   "10",
	"vmsilo-notify@.service":  "10",
	"vmsilo-share@.service":   "26",
	"vmsilo-user@.service":    "50",
	"vmsilo-disk@.service":    "42",
	"vmsilo-netdev@.service":  "50",
	"vmsilo-down@.service":    "47",
	"vmsilo-lost@.service":    "47",
	"vmsilo-idle@.service":    "10",
	"vmsilo-demand@.service":  "10",
	"vmsilo-run@.service":     "10",
	"vmsilo-console@.service": "10",
}

func TestSecurity(t *testing.T) {
	analyze := systemdAnalyze(t)
	templates, err := filepath.Glob("../../units/*.service")
	if err != nil || len(templates) != len(exposure) {
		t.Fatalf("%d templates, and limits for %d (%v)", len(templates), len(exposure), err)
	}
	for _, template := range templates {
		text, err := os.ReadFile(template)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(template) == "vmsilo-share@.service" {
			// The user is the drop-in's, which is not read here.
			text = append(text, "User=1000\n"...)
		}
		instance := filepath.Join(t.TempDir(), strings.Replace(filepath.Base(template), "@", "@demo", 1))
		if err := os.WriteFile(instance, text, 0o644); err != nil {
			t.Fatal(err)
		}
		limit := exposure[filepath.Base(template)]
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+limit, instance).CombinedOutput()
		if err != nil || limit == "" {
			t.Errorf("%s: more than %s tenths: %v\n%s", template, limit, err, out)
		}
	}
}
