package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exposure is the most that systemd-analyze security may find in a unit, in tenths. The VMM's is by its program.
var exposure = map[string]string{
	"vmsilo@.service":         "16",
	"crosvm":                  "20",
	"vmsilo-vsock@.service":   "15",
	"vmsilo-notify@.service":  "15",
	"vmsilo-share@.service":   "15",
	"vmsilo-home@.service":    "15",
	"vmsilo-user@.service":    "15",
	"vmsilo-disk@.service":    "15",
	"vmsilo-lend@.service":    "15",
	"vmsilo-netdev@.service":  "15",
	"vmsilo-netvm@.service":   "15",
	"vmsilo-pci@.service":     "15",
	"vmsilo-resolver.service": "15",
	"vmsilo-down@.service":    "15",
	"vmsilo-lost@.service":    "15",
	"vmsilo-idle@.service":    "15",
	"vmsilo-demand@.service":  "15",
	"vmsilo-run@.service":     "15",
	"vmsilo-console@.service": "15",
	"vmsilo-vmm@.service":     "15",
	"vmsilo-machine@.service": "15",
	"vmsilo-menus.service":    "15",
	"vmsilo-changed.service":  "15",
	"vmsilo-proxy@.service":   "15",
	"vmsilo-waypipe@.service": "15",
	"vmsilo-status.service":   "15",

	"vmsilo-pipewire@.service": "15",
	"vmsilo-sound@.service":    "15",
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
				if strings.Contains(tree[unit+".d/50-vmsilo.conf"], "\nExecStart=/usr/libexec/vmsilo/vmsilo-crosvm ") {
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

// several are the templates of which a VM may have more than one, NAME:X.
var several = []string{"vmsilo-share@.service", "vmsilo-netdev@.service", "vmsilo-netvm@.service"}

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
				switch {
				case !strings.HasPrefix(name, "vmsilo") || !strings.HasSuffix(name, ".service") || slices.Contains(several, name):
				case strings.Contains(name, "@"):
					units = append(units, strings.Replace(name, "@.service", "@"+vm, 1))
				case !slices.Contains(units, name):
					units = append(units, name)
				}
			}
		case strings.Contains(unit, ":"):
			units = append(units, unit)
		}
	}
	return units
}

// template returns the template of a unit, or the unit itself when it has none.
func template(unit string) string {
	name, _, found := strings.Cut(unit, "@")
	if !found {
		return unit
	}
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
var instances = map[string][][2]string{
	// A VMM with the fewest rights, one with a TAP, and the other VMM.
	"vmsilo@.service":         {{"vmsilo@sealed.service", "qemu"}, {"vmsilo@router.service", "addresses"}, {"vmsilo@banking.service", "shortest"}},
	"vmsilo-vsock@.service":   {{"vmsilo-vsock@demo.service", "qemu"}},
	"vmsilo-notify@.service":  {{"vmsilo-notify@demo.service", "qemu"}},
	"vmsilo-console@.service": {{"vmsilo-console@demo.service", "qemu"}},
	"vmsilo-disk@.service":    {{"vmsilo-disk@demo.service", "qemu"}},
	"vmsilo-vmm@.service":     {{"vmsilo-vmm@demo.service", "qemu"}},
	"vmsilo-lend@.service":    {{"vmsilo-lend@files.service", "disks"}},
	"vmsilo-share@.service":   {{"vmsilo-share@demo:home.service", "qemu"}},
	"vmsilo-home@.service":    {{"vmsilo-home@demo.service", "qemu"}},
	"vmsilo-netdev@.service":  {{"vmsilo-netdev@router:lan.service", "addresses"}},
	"vmsilo-netvm@.service":   {{"vmsilo-netvm@app:vpn.service", "netvm"}},
	"vmsilo-pci@.service":     {{"vmsilo-pci@passed.service", "pci-devices"}},
	"vmsilo-resolver.service": {{"vmsilo-resolver.service", "qemu"}},
	"vmsilo-user@.service":    {{"vmsilo-user@demo.service", "qemu"}},
	"vmsilo-down@.service":    {{"vmsilo-down@demo.service", "qemu"}},
	"vmsilo-lost@.service":    {{"vmsilo-lost@demo.service", "qemu"}},
	"vmsilo-run@.service":     {{"vmsilo-run@demo.service", "qemu"}},
	"vmsilo-idle@.service":    {{"vmsilo-idle@demo.service", "qemu"}},
	"vmsilo-demand@.service":  {{"vmsilo-demand@demo.service", "qemu"}},
	"vmsilo-machine@.service": {{"vmsilo-machine@demo.service", "qemu"}},
	"vmsilo-menus.service":    {{"vmsilo-menus.service", "qemu"}},
	"vmsilo-changed.service":  {{"vmsilo-changed.service", "qemu"}},
	"vmsilo-proxy@.service":   {{"vmsilo-proxy@piped.service", "wayland"}},
	"vmsilo-waypipe@.service": {{"vmsilo-waypipe@piped.service", "wayland"}},
	"vmsilo-status.service":   {{"vmsilo-status.service", "qemu"}},
	// Once they listen, these run a program.
	"vmsilo-vmm@.socket":   {{"vmsilo-vmm@demo.socket", "qemu"}},
	"vmsilo-run@.socket":   {{"vmsilo-run@demo.socket", "qemu"}},
	"vmsilo-proxy@.socket": {{"vmsilo-proxy@piped.socket", "wayland"}},

	// Once with the drop-in that names another user, and once without any.
	"vmsilo-pipewire@.service": {{"vmsilo-pipewire@speaker.service", "sound"}, {"vmsilo-pipewire@demo.service", "qemu"}},
	"vmsilo-sound@.service":    {{"vmsilo-sound@speaker.service", "sound"}},
}

// openSocket is what is open in sockets. IPAddressDeny= and PrivateNetwork= would be the socket's, too, and each of the others takes
// a mount namespace or what chown is for.
var openSocket = []string{
	"CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)", "IPAddressDeny=", "PrivateDevices=", "PrivateNetwork=",
	"PrivateUsers=", "ProcSubset=", "ProtectClock=", "ProtectControlGroups=", "ProtectHostname=", "ProtectKernelLogs=",
	"ProtectKernelModules=", "ProtectKernelTunables=", "ProtectProc=", "SystemCallFilter=~@privileged", "UMask=",
	"User=/DynamicUser=",
}

// open is what systemd-analyze may find open in each unit, and "" in all of them. Where a template's instances differ, it
// is all that any of them has.
var open = map[string][]string{
	"": {
		// Each logs, and all but netdev are asked or answer by no other way.
		"RestrictAddressFamilies=~AF_UNIX",
		// The folders that are not a unit's business are covered in it.
		"RootDirectory=/RootImage=",
		// ProtectClock= itself adds a device to what may be opened.
		"DeviceAllow=",
		// Other settings make them private; systemd 252 does not know.
		"PrivateMounts=",
	},
	"vmsilo@.service": {
		"MemoryDenyWriteExecute=", "ProtectHome=", "SupplementaryGroups=", "PrivateNetwork=",
		// crosvm's sandbox.
		"ProcSubset=", "RestrictNamespaces=~mnt",
		"RestrictNamespaces=~net", "RestrictNamespaces=~pid", "RestrictNamespaces=~user", "SystemCallFilter=~@mount",
		"SystemCallFilter=~@privileged",
	},
	// Another unit of the same user, which ends earlier, must not take away what this one has: RemoveIPC=.
	"vmsilo-vsock@.service":   {"RemoveIPC="},
	"vmsilo-notify@.service":  {"RemoveIPC="},
	"vmsilo-console@.service": {"RemoveIPC="},
	"vmsilo-disk@.service":    {"RemoveIPC="},
	// A disk may be anywhere, and anybody's.
	"vmsilo-lend@.service": {
		"AmbientCapabilities=", "CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)", "PrivateDevices=", "PrivateTmp=", "PrivateUsers=",
		"ProtectHome=", "ProtectSystem=",
	},
	// Files of /sys and /dev are root's, and what they say of users is meant as it is.
	"vmsilo-pci@.service":   {"PrivateDevices=", "PrivateUsers=", "ProcSubset=", "ProtectProc=", "User=/DynamicUser="},
	"vmsilo-share@.service": {"ProcSubset=", "ProtectHome=", "RemoveIPC=", "SystemCallFilter=~@privileged"},
	"vmsilo-netdev@.service": {
		"AmbientCapabilities=", "CapabilityBoundingSet=~CAP_NET_ADMIN", "PrivateNetwork=", "PrivateUsers=", "ProcSubset=",
		"RemoveIPC=", "RestrictAddressFamilies=~AF_NETLINK",
	},
	"vmsilo-resolver.service": {
		"AmbientCapabilities=", "CapabilityBoundingSet=~CAP_NET_ADMIN", "PrivateNetwork=", "PrivateUsers=", "ProcSubset=",
		"RemoveIPC=", "RestrictAddressFamilies=~AF_NETLINK",
	},
	"vmsilo-user@.service": {
		"CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)", "PrivateTmp=", "PrivateUsers=", "ProtectHome=",
		"SystemCallFilter=~@privileged", "UMask=", "User=/DynamicUser=",
	},
	// The folder that a home is made in may be anywhere, and anybody's.
	"vmsilo-home@.service": {
		"CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)", "CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)", "PrivateTmp=",
		"PrivateUsers=", "ProtectHome=", "SystemCallFilter=~@privileged", "User=/DynamicUser=",
	},
	"vmsilo-vmm@.socket":   openSocket,
	"vmsilo-run@.socket":   openSocket,
	"vmsilo-proxy@.socket": openSocket,
	// In /run/user is PipeWire, and ProtectHome= would hide that.
	"vmsilo-pipewire@.service": {"ProtectHome=", "RemoveIPC="},
	"vmsilo-sound@.service":    {"RemoveIPC="},
	"vmsilo-run@.service":      {"RemoveIPC="},
	"vmsilo-vmm@.service":      {"RemoveIPC="},
	// In a user namespace, whoever asks would be nobody.
	"vmsilo-demand@.service": {"PrivateUsers=", "User=/DynamicUser="},
	// The user's own: what else of theirs is covered, and what else they have stays.
	"vmsilo-proxy@.service":   {"ProtectHome=", "RemoveIPC="},
	"vmsilo-waypipe@.service": {"ProtectHome=", "RemoveIPC="},
	// Nothing but its program is there to be protected.
	"vmsilo-down@.service":    {"ProtectHome=", "ProtectSystem=", "User=/DynamicUser="},
	"vmsilo-idle@.service":    {"ProtectHome=", "ProtectSystem=", "User=/DynamicUser="},
	"vmsilo-netvm@.service":   {"ProtectHome=", "ProtectSystem=", "User=/DynamicUser="},
	"vmsilo-machine@.service": {"ProtectHome=", "ProtectSystem=", "User=/DynamicUser="},
	// What it makes is for everybody to read.
	"vmsilo-menus.service": {"PrivateTmp=", "ProtectHome=", "UMask="},
	// An image may be in anybody's home, and in /tmp.
	"vmsilo-status.service": {"IPAddressDeny=", "PrivateNetwork=", "PrivateTmp=", "PrivateUsers=", "ProtectHome="},
}

// seen are the settings that systemd-analyze security does not look at. tests/scenarios/hardening.sh takes each of them out of
// each service in its turn, and compares what a process sees there with what it has to.
var seen = []string{
	"BindPaths", "BindReadOnlyPaths", "DeviceAllow", "InaccessiblePaths", "LimitCORE", "PrivateIPC", "ReadOnlyPaths", "ReadWritePaths",
	"SystemCallErrorNumber", "TemporaryFileSystem",
}

// TestLines takes each line of hardening out of each template in its turn: either a check of systemd's finds that open
// which was shut before, or a scenario shows what the line does. So no line is there for nothing, and none can go
// without a test that fails.
func TestLines(t *testing.T) {
	for name, text := range readTree(t, "../../units") {
		if strings.HasPrefix(name, "vmsilo") && strings.Contains(text, "\nExec") && instances[name] == nil {
			t.Errorf("%s runs a program, and no line of it is tried", name)
		}
	}
	for template, units := range instances {
		t.Run(template, func(t *testing.T) {
			text := readTree(t, "../../units")[template]
			lines := hardening.FindAllString(text, -1)
			held := map[string]bool{}
			for _, unit := range units {
				dropin := dropins(readTree(t, "testdata/"+unit[1]+"/want"), unit[0])
				variants := []string{text + dropin}
				for _, line := range lines {
					variants = append(variants, strings.Replace(text, line, "", 1)+dropin)
				}
				found := checks(t, variants)
				for name := range found[0] {
					if !slices.Contains(open[""], name) && !slices.Contains(open[template], name) {
						t.Errorf("%s: %s is open", unit[0], name)
					}
				}
				for i, line := range lines {
					held[line] = held[line] || !maps.Equal(found[i+1], found[0])
				}
			}
			for _, line := range lines {
				name, _, _ := strings.Cut(line[1:], "=")
				if !held[line] && !slices.Contains(seen, name) {
					t.Errorf("nothing tells whether %q is there", line)
				}
			}
		})
	}
}

// dropins returns the drop-ins of a unit alone, one after the other.
func dropins(tree map[string]string, unit string) (all string) {
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		if strings.HasPrefix(path, unit+".d/") {
			all += tree[path]
		}
	}
	return all
}

// hardening are the lines of a unit that shut something, each with the newline before it.
var hardening = regexp.MustCompile(`\n(AmbientCap|Bind|Capability|Device|DynamicUser|IPAddress|Inaccessible|Keyring|LimitCORE|Lock|` +
	`MemoryDeny|NoNew|Private|Proc|Protect|Read(Only|Write)|RemoveIPC|Restrict[A-EG-Z]|Supplementary|SystemCall|TemporaryFile|UMask|User)[^=\n]*=.*`)

// checks returns, for each unit, what checks of systemd-analyze security find, by their names.
func checks(t *testing.T, units []string) []map[string]string {
	t.Helper()
	tree, names := map[string]string{}, make([]string, len(units))
	for i, unit := range units {
		names[i] = fmt.Sprintf("x@%d.service", i)
		// Services alone are looked at. Of a socket's settings, those that shut something in are a service's, too.
		tree[names[i]] = strings.ReplaceAll(unit, "[Socket]", "[Service]\nExecStart=\nExecStart=/bin/true")
		// A name on the bus is one unit's alone.
		tree[names[i]] = strings.ReplaceAll(tree[names[i]], "Type=dbus\nBusName=org.vmsilo1\n", "")
	}
	folder := t.TempDir()
	writeTree(t, folder, tree)
	out, err := security(t, folder, folder, append([]string{"--json=short"}, names...))
	// What it says of paths that are not there is on lines of their own.
	answers := slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return !strings.HasPrefix(line, "[{") })
	if err != nil || len(answers) != len(units) {
		t.Fatalf("%d units, %d answers: %v\n%.2000s", len(units), len(answers), err, out)
	}
	found := make([]map[string]string, len(units))
	for i, answer := range answers {
		var all []struct {
			Set                         bool
			Name, Description, Exposure string
		}
		if err := json.Unmarshal([]byte(answer), &all); err != nil {
			t.Fatal(err)
		}
		found[i] = map[string]string{}
		for _, check := range all {
			// Some may be left open and count for nothing.
			if !check.Set && check.Exposure != "" {
				found[i][check.Name] = check.Description
			}
		}
	}
	return found
}
