package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// maxDiskName is how long a disk's name may be, in bytes: its serial is vmsilo-NAME, and a serial of virtio-blk has 20.
const maxDiskName = 13

// maxDisks is how many disks a VM has room for, beside its root and overlay: functions of two PCI devices, less the GPU's.
const maxDisks = 13

const diskRule = "a disk's name is a letter or digit and up to 12 of A-Z, a-z, 0-9, _, . and -"

func (d *decoder) disks(vm *VM) func(*Node) {
	return d.atMost(maxDisks, "disks", d.tables(func(name string, n *Node) {
		switch {
		case name == "root" || name == "overlay":
			d.errorf(n.key, "choose another name", "the disk name %q is vmsilo's own", name)
			return
		case !isName(name, maxDiskName):
			d.errorf(n.key, diskRule, "%q is not a disk's name", name)
			return
		}
		disk := Disk{Name: name, Format: "raw", Discard: true}
		d.table(d.diskFields(&disk)...)(n)
		d.required(n, "path")
		vm.Disks = append(vm.Disks, disk)
	}))
}

func (d *decoder) diskFields(disk *Disk) []field {
	return []field{
		{"path", d.text(&disk.Path, absolute)},
		{"format", d.oneOf(&disk.Format, "raw", "qcow2")},
		{"read_only", d.bool(&disk.ReadOnly)},
		{"discard", d.bool(&disk.Discard)},
	}
}

// bearer is one disk of one VM.
type bearer struct {
	vm   *VM
	disk Disk
}

func (b bearer) String() string { return b.vm.Name + ":" + b.disk.Name }

// checkDisks finds disks that more than one would use while one of them writes: two kernels on one file system
// destroy it. Each VM is refused and names the others. A VM that is broken otherwise keeps its disks: it may be running.
func (c *Config) checkDisks() {
	byPath := map[string][]bearer{}
	for vm := range c.All() {
		for _, disk := range vm.Disks {
			path := filepath.Clean(disk.Path)
			byPath[path] = append(byPath[path], bearer{vm, disk})
		}
	}
	problems := map[string][]Error{}
	for path, bearers := range byPath {
		writable := slices.ContainsFunc(bearers, func(b bearer) bool { return !b.disk.ReadOnly })
		if path == "." || len(bearers) == 1 || !writable {
			continue
		}
		for n, b := range bearers {
			problems[b.vm.Name] = append(problems[b.vm.Name], Error{
				b.vm.At("disks", b.disk.Name, "path"),
				fmt.Sprintf("%q is also the disk of %s, and not all of them are read-only", path, otherBearers(bearers, n)),
				"give each VM a disk of its own, or make all of them read_only",
			})
		}
	}
	c.refuseAll(problems)
}

// otherBearers names the first few of bearers but the nth.
func otherBearers(bearers []bearer, n int) string {
	var names []string
	for i, b := range bearers {
		if i != n && len(names) < 10 {
			names = append(names, b.String())
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
