package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Hypervisor is what the configuration has to know of a VMM.
type Hypervisor struct {
	// Name is what it is called in the configuration.
	Name string
	// Lacks are the features that it cannot give a VM.
	Lacks []Feature
}

// Feature is what some keys of a VM ask for, and not every VMM has.
type Feature int

// The features that depend on the VMM.
const (
	// GPU is a GPU context of the cross-domain type, which some Wayland proxies go over, too.
	GPU Feature = iota
	// OwnDisks are disks of the VM's own.
	OwnDisks
	// Audio is a sound device.
	Audio
)

// ability is a key that asks for a feature.
type ability struct {
	key   string
	needs Feature
	// asked tells whether the key's value asks for it; off takes it from a VM.
	asked func(*Node) bool
	off   func(*VM)
}

var abilities = []ability{
	{
		"gpu", GPU,
		isTrue,
		func(vm *VM) { vm.GPU = false },
	},
	{
		"wayland_proxy", GPU,
		func(n *Node) bool { return slices.Contains(waylandProxies, n.text) && needsGPU(n.text) },
		func(vm *VM) { vm.WaylandProxy = "none" },
	},
	{
		"disks", OwnDisks,
		func(*Node) bool { return true },
		func(vm *VM) { vm.Disks = nil },
	},
	{
		"sound", Audio,
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
	if n := tree.table["hypervisor"]; n != nil && slices.Contains(names(d.hypervisors), n.text) {
		hypervisor = n.text
	}
	for _, a := range abilities {
		able := slices.Clone(d.hypervisors)
		able = slices.DeleteFunc(able, func(h Hypervisor) bool { return slices.Contains(h.Lacks, a.needs) })
		if slices.Contains(names(able), hypervisor) {
			continue
		}
		a.off(vm)
		if n := tree.table[a.key]; n == nil || !a.asked(n) {
			continue
		}
		hint := "these can: " + strings.Join(names(able), ", ")
		if n := own.table[a.key]; n != nil {
			d.errorf(n.key, hint, "hypervisor %q cannot honour %q", hypervisor, a.key)
		} else {
			text := fmt.Sprintf("warning: %q is off for VM %q, whose hypervisor %q cannot honour it", a.key, vm.Name, hypervisor)
			vm.Off = append(vm.Off, Error{tree.table[a.key].key, text, hint})
		}
		delete(tree.table, a.key)
	}
}

func names(hypervisors []Hypervisor) (all []string) {
	for _, h := range hypervisors {
		all = append(all, h.Name)
	}
	return all
}
