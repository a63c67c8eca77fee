package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exposure is the most that systemd-analyze security may find in a unit, in tenths. The VMM's is by its program.
var exposure = map[string]string{
	"vmsilo@.service":         "16",
	"crosvm":                  "25",
	"vmsilo-vsock@.service":   "15",
	"vmsilo-notify@.service":  "15",
	"vmsilo-share@.service":   "15",
	"vmsilo-user@.service":    "15",
	"vmsilo-disk@.service":    "15",
	"vmsilo-netdev@.service":  "15",
	"vmsilo-down@.service":    "15",
	"vmsilo-lost@.service":    "15",
	"vmsilo-idle@.service":    "47",
	"vmsilo-run@.service":     "15",
	"vmsilo-console@.service": "15",
}

// TestExposure scores every service of every golden case, as systemd puts it together of templates and drop-ins.
func TestExposure(t *testing.T) {
	templates := readTree(t, "../../units")
	for _, folder := range cases(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			tree := readTree(t, folder+"/want")
			limits := map[string][]string{}
			for _, unit := range servicesIn(tree, templates) {
				limit := exposure[template(unit)]
				if strings.Contains(tree[unit+".d/50-vmsilo.conf"], "\nExecStart=crosvm ") {
					limit = exposure["crosvm"]
				}
				limits[limit] = append(limits[limit], unit)
			}
			installed, generated := t.TempDir(), t.TempDir()
			writeTree(t, installed, templates)
			writeTree(t, generated, tree)
			for limit, units := range limits {
				if out, err := security(t, installed, generated, append([]string{"--threshold=" + limit}, units...)); err != nil {
					t.Errorf("more than %s tenths: %v\n%s", limit, err, out)
				}
			}
		})
	}
}

// servicesIn returns the services of every VM of a tree that can be built.
func servicesIn(tree, templates map[string]string) []string {
	var units []string
	for path := range tree {
		unit, isDropin := strings.CutSuffix(path, ".d/50-vmsilo.conf")
		vm, isVM := strings.CutPrefix(unit, "vmsilo@")
		switch {
		case !isDropin || !strings.HasSuffix(unit, ".service"):
		case isVM:
			for name := range templates {
				if strings.HasSuffix(name, "@.service") && name != "vmsilo-share@.service" && name != "vmsilo-netdev@.service" {
					units = append(units, strings.Replace(name, "@.service", "@"+vm, 1))
				}
			}
		case strings.Contains(unit, ":"):
			units = append(units, unit)
		}
	}
	return units
}

// template returns the template of a unit.
func template(unit string) string {
	name, _, _ := strings.Cut(unit, "@")
	return name + "@.service"
}

// security runs systemd-analyze security on units of a folder, with drop-ins of another.
func security(t *testing.T, folder, dropins string, args []string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command(systemdAnalyze(t), append([]string{"security", "--offline=true", "--no-pager"}, args...)...)
	// It takes the names for those of files.
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dropins+":"+folder+":")
	return cmd.CombinedOutput()
}

// instances are the units by which the lines of a template are tried, each with the golden case that has it.
var instances = map[string]string{
	"vmsilo@demo.service":              "qemu",
	"vmsilo@router.service":            "addresses",
	"vmsilo-vsock@demo.service":        "qemu",
	"vmsilo-notify@demo.service":       "qemu",
	"vmsilo-console@demo.service":      "qemu",
	"vmsilo-disk@demo.service":         "qemu",
	"vmsilo-share@demo:home.service":   "qemu",
	"vmsilo-netdev@router:lan.service": "addresses",
	"vmsilo-user@demo.service":         "qemu",
	"vmsilo-down@demo.service":         "qemu",
	"vmsilo-lost@demo.service":         "qemu",
	"vmsilo-run@demo.service":          "qemu",
}

// open is what systemd-analyze may find open, in every unit and in some.
var (
	openInAll = []string{"RestrictAddressFamilies=~AF_UNIX", "RootDirectory=/RootImage="}
	open      = map[string][]string{}
)

// unscored are hardening settings that systemd-analyze security does not look at. tests/scenarios/isolation.sh shows what
// they do.
var unscored = []string{}

// TestLines takes each line of hardening out of each template in its turn: either a check of systemd's finds that open
// which nothing left open before, or the line is one that a scenario shows. So no line is there for nothing, and none can
// go without a test that fails.
func TestLines(t *testing.T) {
	for unit, golden := range instances {
		t.Run(unit, func(t *testing.T) {
			own, dropin := readTree(t, "../../units")[template(unit)], readTree(t, "testdata/"+golden+"/want")[unit+".d/50-vmsilo.conf"]
			lines := strings.Split(own, "\n")
			variants := map[string]string{"x@whole.service": own + dropin}
			for i, line := range lines {
				if isHardening(line) {
					variants[fmt.Sprintf("x@%d.service", i)] = strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "\n") + dropin
				}
			}
			found := checks(t, variants)
			fmt.Println(unit, found["x@whole.service"])
			for _, name := range found["x@whole.service"] {
				if !slices.Contains(openInAll, name) && !slices.Contains(open[unit], name) {
					t.Errorf("%s is open", name)
				}
			}
			for i, line := range lines {
				left := found[fmt.Sprintf("x@%d.service", i)]
				if isHardening(line) && slices.Equal(left, found["x@whole.service"]) {
					t.Errorf("nothing tells whether %q is there", line)
				}
			}
		})
	}
}

// isHardening reports whether a line of a unit shuts something.
func isHardening(line string) bool {
	name, _, isSetting := strings.Cut(line, "=")
	for _, prefix := range []string{
		"AmbientCapabilities", "Bind", "Capability", "Device", "DynamicUser", "IPAddress", "Inaccessible", "KeyringMode", "Limit",
		"LockPersonality", "MemoryDeny", "NoNew", "Private", "Proc", "Protect", "ReadWrite", "RemoveIPC", "Restrict", "Supplementary",
		"SystemCall", "TemporaryFile", "UMask", "User",
	} {
		if isSetting && strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, "RestartForce") {
			return !slices.Contains(unscored, name)
		}
	}
	return false
}

// checks returns, for each unit, the names of the checks of systemd-analyze security that find something, in order.
func checks(t *testing.T, units map[string]string) map[string][]string {
	t.Helper()
	folder := t.TempDir()
	writeTree(t, folder, units)
	names := make([]string, 0, len(units))
	for name := range units {
		names = append(names, name)
	}
	out, err := security(t, folder, folder, append([]string{"--json=short"}, names...))
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "[") })
	if err != nil || len(lines) != len(names) {
		t.Fatalf("%d units, %d answers: %v\n%s", len(names), len(lines), err, out)
	}
	found := map[string][]string{}
	for i, name := range names {
		var all []struct {
			Set      bool
			Name     string
			Exposure string
		}
		if err := json.Unmarshal([]byte(lines[i]), &all); err != nil {
			t.Fatal(err)
		}
		found[name] = []string{}
		for _, check := range all {
			if !check.Set && check.Exposure != "" {
				found[name] = append(found[name], check.Name)
			}
		}
		slices.Sort(found[name])
	}
	return found
}
