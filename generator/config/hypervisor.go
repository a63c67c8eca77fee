package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

var hypervisors = []string{"crosvm", "cloud-hypervisor", "qemu"}

// ability is something that not every VMM can do for a VM.
type ability struct {
	key string
	// without are the VMMs that cannot.
	without []string
	// asked tells whether the key's value asks for it; off takes it from a VM.
	asked func(*Node) bool
	off   func(*VM)
}

// abilities are the keys that depend on the VMM. A GPU context of the cross-domain type is crosvm's own; the proxies
// that go over one need it too. Disks cloud-hypervisor opens by their paths, as the VM's own user: of one
// that is lent as a descriptor, /proc/self/fd/N, it opens the file anew, which is denied. QEMU 10.0 gives a sound device queues
// of 1024, of which vhost-device-sound 0.3 takes 64: it ends when the guest's driver begins, and QEMU aborts.
var abilities = []ability{
	{
		"gpu",
		[]string{"cloud-hypervisor", "qemu"},
		isTrue,
		func(vm *VM) { vm.GPU = false },
	},
	{
		"wayland_proxy",
		[]string{"cloud-hypervisor", "qemu"},
		func(n *Node) bool { return slices.Contains(waylandProxies, n.text) && needsGPU(n.text) },
		func(vm *VM) { vm.WaylandProxy = "none" },
	},
	{
		"disks",
		[]string{"cloud-hypervisor"},
		func(*Node) bool { return true },
		func(vm *VM) { vm.Disks = nil },
	},
	{
		"sound",
		[]string{"qemu"},
		func(n *Node) bool { return n.table["playback"].is("true") || n.table["capture"].is("true") },
		func(vm *VM) { vm.Sound = Sound{} },
	},
}

func isTrue(n *Node) bool { return n.is("true") }

// is tells whether n is the boolean that text spells.
func (n *Node) is(text string) bool { return n != nil && n.kind == unstable.Bool && n.text == text }

// honour compares what a VM wants with what its VMM can do: what its own file asks for in vain is an error, and what
// a default asks for is off, which is a warning of the VM's. Either way the key is taken from the tree.
func (d *decoder) honour(vm *VM, own, tree *Node) {
	hypervisor := vm.Hypervisor
	if n := tree.table["hypervisor"]; n != nil && slices.Contains(hypervisors, n.text) {
		hypervisor = n.text
	}
	for _, a := range abilities {
		if !slices.Contains(a.without, hypervisor) {
			continue
		}
		a.off(vm)
		if n := tree.table[a.key]; n == nil || !a.asked(n) {
			continue
		}
		able := slices.DeleteFunc(slices.Clone(hypervisors), func(h string) bool { return slices.Contains(a.without, h) })
		hint := "these can: " + strings.Join(able, ", ")
		if n := own.table[a.key]; n != nil {
			d.errorf(n.key, hint, "hypervisor %q cannot honour %q", hypervisor, a.key)
		} else {
			text := fmt.Sprintf("warning: %q is off for VM %q, whose hypervisor %q cannot honour it", a.key, vm.Name, hypervisor)
			vm.Off = append(vm.Off, Error{tree.table[a.key].key, text, hint})
		}
		delete(tree.table, a.key)
	}
}
