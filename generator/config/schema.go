package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"vmsilo/internal/paths"
)

var (
	vmName        = regexp.MustCompile(`^[a-z][a-z0-9-]{0,47}$`)
	reservedNames = []string{"vmsilo", "images", "home-template"}
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)
	userName      = regexp.MustCompile(`^([a-z_][a-z0-9_-]{0,30}|[1-9][0-9]{0,9})$`)
)

const (
	nameRule      = "a VM's name is a lower-case letter and up to 47 of a-z, 0-9 and -, and does not end in -"
	interfaceRule = "an interface's name is a letter or digit and up to 14 of A-Z, a-z, 0-9, _, . and -, not digits alone, and not lo"
)

// maxInterfaces is how many slots a VM has for interfaces: indexes 22 to 36.
const maxInterfaces = 15

// checkName returns what is wrong with a VM's name, or "".
func checkName(name string) string {
	if !vmName.MatchString(name) || strings.HasSuffix(name, "-") {
		return fmt.Sprintf("%q is not a VM's name", name)
	}
	if slices.Contains(reservedNames, name) {
		return fmt.Sprintf("%q is a name that vmsilo keeps for itself", name)
	}
	return ""
}

// vmFields are the keys of a VM's file, and of vmsilo.toml's [defaults].
func (d *decoder) vmFields(vm *VM, image *imageKeys) []field {
	return []field{
		{"id", d.integer(&vm.ID, 3, 9999)},
		{"description", d.text(&vm.Description, nil)},
		{"color", nil},
		{"autostart", d.bool(&vm.Autostart)},
		{"hypervisor", d.hypervisor(&vm.Hypervisor)},
		{"memory", d.size(&vm.Memory, 64<<20)},
		{"cpus", d.integer(&vm.CPUs, 1, 255)},
		{"image", d.text(&image.image, checkImage)},
		{"kernel", d.text(&image.kernel, absolute)},
		{"initrd", d.text(&image.initrd, absolute)},
		{"root", d.text(&image.root, absolute)},
		{"kernel_params", d.texts(&vm.KernelParams, checkKernelParam)},
		{"root_overlay", func(n *Node) { d.table(n, d.overlayFields(&vm.Overlay)) }},
		{"shared_home", d.sharedHome(vm)},
		{"shared_directories", nil},
		{"network", func(n *Node) {
			d.table(n, []field{{"interfaces", func(n *Node) { d.interfaces(n, vm) }}})
		}},
		{"host_ports", nil},
		{"wayland", nil},
		{"wayland_proxy", nil},
		{"gpu", nil},
		{"sound", nil},
		{"disks", nil},
		{"pci_devices", nil},
		{"balloon", nil},
		{"depends_on", d.texts(&vm.DependsOn, checkName)},
		{"user", d.text(&vm.User, checkUser)},
		{"start_timeout", d.timeSpan(&vm.StartTimeout)},
		{"stop_timeout", d.timeSpan(&vm.StopTimeout)},
		{"idle_stop", nil},
		{"hypervisor_args", d.texts(&vm.HypervisorArgs, nil)},
	}
}

func (d *decoder) overlayFields(o *Overlay) []field {
	return []field{
		{"type", d.oneOf(&o.Type, "qcow2", "tmpfs")},
		{"size", d.size(&o.Size, 64<<20)},
	}
}

func (d *decoder) interfaceFields(i *Interface) []field {
	kind := ""
	return []field{
		{"type", d.oneOf(&kind, "tap")},
		{"mac_address", d.text(&i.MAC, checkMAC)},
		{"host_address", d.text(&i.HostAddress, checkCIDR)},
		{"bridge", nil},
		{"isolated", nil},
		{"netvm", nil},
		{"addresses", nil},
		{"gateway", nil},
		{"dns", nil},
		{"nat", nil},
		{"mtu", nil},
		{"queues", nil},
	}
}

// hostFields are the keys of vmsilo.toml; [defaults] is kept as it is, to be merged under every VM.
func (d *decoder) hostFields(host *Host, defaults **Node) []field {
	return []field{
		{"user", d.text(&host.User, checkUser)},
		{"defaults", func(n *Node) { *defaults = n }},
		{"network", nil},
	}
}

// imageKeys are the four keys that say where a VM's kernel, initrd and root are.
type imageKeys struct{ image, kernel, initrd, root string }

func (k imageKeys) resolve(vm *VM) {
	folder := k.image
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(paths.Images, folder)
	}
	pick := func(given, file string) string {
		if given != "" {
			return given
		}
		return filepath.Join(folder, file)
	}
	vm.Kernel, vm.Initrd, vm.Root = pick(k.kernel, "vmlinuz"), pick(k.initrd, "initrd"), pick(k.root, "root.erofs")
}

// decodeVM decodes the merged tree of one VM. userOf is the desktop user of the host.
func decodeVM(name string, tree *Node, host Host) (VM, []Error) {
	vm := VM{
		Name:         name,
		Path:         tree.key.File.Path,
		Hypervisor:   "crosvm",
		Memory:       1 << 30,
		CPUs:         2,
		Overlay:      Overlay{Type: "qcow2", Size: 10 << 30},
		SharedHome:   filepath.Join(paths.Shared, name),
		User:         host.User,
		StartTimeout: TimeSpan{Text: "90s", Duration: 90e9},
		StopTimeout:  TimeSpan{Text: "60s", Duration: 60e9},
		root:         tree,
	}
	var d decoder
	image := imageKeys{image: "default"}
	d.table(tree, d.vmFields(&vm, &image))
	image.resolve(&vm)
	return vm, d.errs
}

// hypervisor decodes the name of a VMM.
func (d *decoder) hypervisor(to *string) func(*Node) {
	return func(n *Node) {
		if n.text == "cloud-hypervisor" && n.kind == unstable.String {
			d.errorf(n.value, `use "crosvm" or "qemu" for now`, "%q is not supported yet", n.text)
			return
		}
		d.oneOf(to, "crosvm", "qemu")(n)
	}
}

// sharedHome decodes true, false or a path.
func (d *decoder) sharedHome(vm *VM) func(*Node) {
	return func(n *Node) {
		switch n.kind {
		case unstable.Bool:
			if n.text == "false" {
				vm.SharedHome = ""
			}
		case unstable.String:
			d.text(&vm.SharedHome, absolute)(n)
		default:
			d.wrongType(n, "true, false or an absolute path")
		}
	}
}

func (d *decoder) interfaces(n *Node, vm *VM) {
	if n.kind == unstable.Array {
		d.errorf(n.key, "give each interface a table: [network.interfaces.lan0]", "interfaces is a table, keyed by the name that the guest sees")
		return
	}
	if n.kind != unstable.Table {
		d.wrongType(n, "a table")
		return
	}
	if len(n.table) > maxInterfaces {
		d.errorf(n.key, "", "%d interfaces are more than the %d that a VM has slots for", len(n.table), maxInterfaces)
	}
	for _, name := range slices.Sorted(maps.Keys(n.table)) {
		if !interfaceName.MatchString(name) || strings.Trim(name, "0123456789") == "" || name == "lo" {
			d.errorf(n.table[name].key, interfaceRule, "%q is not an interface's name", name)
			continue
		}
		i := Interface{Name: name}
		d.table(n.table[name], d.interfaceFields(&i))
		i.MAC = strings.ToLower(i.MAC)
		vm.Interfaces = append(vm.Interfaces, i)
	}
}

func checkImage(s string) string {
	if filepath.IsAbs(s) || (s != "" && s == filepath.Base(s) && !strings.HasPrefix(s, ".")) {
		return ""
	}
	return fmt.Sprintf("%q is neither a folder's name in %s nor an absolute path", s, paths.Images)
}

func checkKernelParam(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q cannot stand on a kernel command line", s)
	}
	return ""
}

func checkUser(s string) string {
	if s == "root" || s == "0" {
		return "root cannot own a VM's shares: what the guest writes would be root's"
	}
	if !userName.MatchString(s) {
		return fmt.Sprintf("%q is neither a user's name nor a uid", s)
	}
	return ""
}

// checkMAC wants six bytes of a unicast address, in the one spelling of IEEE 802 that the kernel prints.
func checkMAC(s string) string {
	mac, err := net.ParseMAC(s)
	switch {
	case err != nil || len(mac) != 6 || strings.Count(s, ":") != 5:
		return fmt.Sprintf("%q is not a MAC address such as \"52:54:00:12:34:56\"", s)
	case mac[0]&1 != 0:
		return fmt.Sprintf("%q is a multicast address: the first byte must be even", s)
	case slices.Max(mac) == 0:
		return fmt.Sprintf("%q is no address", s)
	}
	return ""
}

func checkCIDR(s string) string {
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not an address with a prefix length, such as \"10.0.0.1/24\"", s)
	case prefix.Bits() == 0:
		return fmt.Sprintf("%q is all addresses there are", s)
	}
	return ""
}
