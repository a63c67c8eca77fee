package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"vmsilo/internal/paths"
)

var reservedNames = []string{"vmsilo", "images", "home-template"}

const nameRule = "a VM's name is a lower-case letter and up to 47 of a-z, 0-9 and -, and does not end in -"

// IsName reports whether a VM may have this name.
func IsName(name string) bool { return checkName(name) == "" }

// checkName returns what is wrong with a VM's name, or "".
func checkName(name string) string {
	if !isWord(name, lower, lower+digits+"-", 48) || strings.HasSuffix(name, "-") {
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
		{"color", d.color(&vm.Color)},
		{"autostart", d.bool(&vm.Autostart)},
		{"hypervisor", d.oneOf(&vm.Hypervisor, names(d.hypervisors)...)},
		{"memory", d.size(&vm.Memory, 64<<20)},
		{"huge_pages", d.bool(&vm.HugePages)},
		{"cpus", d.integer(&vm.CPUs, 1, 255)},
		{"image", d.text(&image.image, checkImage)},
		{"kernel", d.text(&image.kernel, checkImageFile)},
		{"initrd", d.text(&image.initrd, checkImageFile)},
		{"root", d.text(&image.root, checkImageFile)},
		{"kernel_params", d.texts(&vm.KernelParams, checkKernelParam)},
		{"root_overlay", d.table(d.overlayFields(&vm.Overlay)...)},
		{"shared_home", d.sharedHome(vm)},
		{"shared_directories", d.sharedDirectories(vm)},
		{"network", d.table(field{"interfaces", d.interfaces(vm)})},
		{"host_ports", d.texts(&vm.HostPorts, checkPort)},
		{"wayland", d.oneOf(&vm.Wayland, waylandModes...)},
		{"wayland_proxy", d.oneOf(&vm.WaylandProxy, waylandProxies...)},
		{"gpu", d.bool(&vm.GPU)},
		{"sound", d.table(d.soundFields(&vm.Sound)...)},
		{"disks", d.disks(vm)},
		{"pci_devices", d.pciDevices(vm)},
		{"balloon", d.bool(&vm.Balloon)},
		{"depends_on", d.names(&vm.DependsOn)},
		{"user", d.text(&vm.User, checkUser)},
		{"start_timeout", d.timeSpan(&vm.StartTimeout)},
		{"stop_timeout", d.timeSpan(&vm.StopTimeout)},
		{"idle_stop", d.timeSpan(&vm.IdleStop)},
		{"hypervisor_args", d.texts(&vm.HypervisorArgs, nil)},
	}
}

func (d *decoder) overlayFields(o *Overlay) []field {
	return []field{
		{"type", d.oneOf(&o.Type, "qcow2", "tmpfs")},
		{"size", d.size(&o.Size, 64<<20)},
	}
}

func (d *decoder) soundFields(s *Sound) []field {
	return []field{
		{"playback", d.bool(&s.Playback)},
		{"capture", d.bool(&s.Capture)},
	}
}

// hostFields are the keys of vmsilo.toml; [defaults] is kept as it is, to be merged under every VM.
func (d *decoder) hostFields(host *Host, defaults **Node) []field {
	return []field{
		{"user", d.text(&host.User, checkUser)},
		{"defaults", func(n *Node) { *defaults = n }},
		{"network", d.table(d.subnetFields(host)...)},
	}
}

func (d *decoder) subnetFields(host *Host) []field {
	return []field{
		{"subnet", d.text(&host.Subnet, checkSubnet)},
		{"subnet6", d.text(&host.Subnet6, checkSubnet6)},
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

// decodeVM decodes a VM's own tree, merged over the defaults.
func decodeVM(name string, own, defaults *Node, host Host, hypervisors []Hypervisor) (*VM, []Error) {
	vm := &VM{
		Name:         name,
		Path:         own.key.File.Path,
		Color:        "grey",
		Hypervisor:   "crosvm",
		Memory:       1 << 30,
		CPUs:         2,
		Overlay:      Overlay{Type: "qcow2", Size: 10 << 30},
		SharedHome:   filepath.Join(paths.Shared, name),
		Wayland:      "context",
		WaylandProxy: "wayland-proxy-virtwl",
		GPU:          true,
		Balloon:      true,
		User:         host.User,
		StartTimeout: TimeSpan{Text: "90s", Duration: 90e9},
		StopTimeout:  TimeSpan{Text: "60s", Duration: 60e9},
		IdleStop:     TimeSpan{Text: "infinity", Infinite: true},
		Subnets:      []netip.Prefix{netip.MustParsePrefix(host.Subnet), netip.MustParsePrefix(host.Subnet6)},
		origin:       &origin{file: own.key.File, defaults: defaults},
	}
	d := decoder{hypervisors: hypervisors}
	image := imageKeys{image: "default"}
	tree := merge(defaults, own)
	d.honour(vm, own, tree)
	d.table(d.vmFields(vm, &image)...)(tree)
	d.checkShares(vm, tree)
	d.checkAddresses(vm, tree)
	d.checkQueues(vm, tree)
	d.checkHugePages(vm, tree)
	d.checkPinned(vm, own)
	d.checkWayland(vm, own)
	image.resolve(vm)
	return vm, d.errs
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
			d.text(&vm.SharedHome, checkSource)(n)
		default:
			d.wrongType(n, "true, false or an absolute path")
		}
	}
}

func checkImage(s string) string {
	if filepath.IsAbs(s) {
		return checkImageFile(s)
	}
	if s != "" && s == filepath.Base(s) && !strings.HasPrefix(s, ".") {
		return ""
	}
	return fmt.Sprintf("%q is neither a folder's name in %s nor an absolute path", s, paths.Images)
}

// checkImageFile wants a path where other things may be than those of one VM.
func checkImageFile(s string) string {
	below := func(folder string) bool { return strings.HasPrefix(filepath.Clean(s)+"/", folder+"/") }
	if problem := absolute(s); problem != "" {
		return problem
	}
	if below(paths.Runtime) || below(paths.State) && !below(paths.Images) {
		return fmt.Sprintf("%q is among what each VM has for itself: images are in %s, or anywhere else", s, paths.Images)
	}
	return ""
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
	if !isWord(s, lower+"_", lower+digits+"_-", 31) && !isWord(s, digits[1:], digits, 10) {
		return fmt.Sprintf("%q is neither a user's name nor a uid", s)
	}
	return ""
}
