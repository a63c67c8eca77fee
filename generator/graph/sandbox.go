package graph

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vmsilo/generator/machine"
	"vmsilo/vmm/known"
)

// registers is how much memory, in bytes, is left for what a VM's devices have beside the guest's own: as libvirt has it,
// qemuDomainGetMemLockLimitBytes() of its qemu/qemu_domain.c.
const registers = 1 << 30

// sandbox lets the VMM reach what its machine has, beyond what units/vmsilo@.service lets every VMM. Each path may be
// missing: the commands of a stop, too, run with these settings as they are by then.
func sandbox(d *dropin, m *machine.Machine) {
	for _, s := range m.Shares {
		d.set("Service", "BindPaths", "-"+quoteBind(m.ShareSocket(s.Tag)))
	}
	if m.Overlay.Type == "qcow2" {
		// For the disk. Everybody may look at how much room it takes, which the status service tells; it is the VM's alone.
		d.set("Service", "StateDirectory", "vmsilo/"+m.Name)
		d.set("Service", "StateDirectoryMode", "0711")
	}
	if len(m.Interfaces) > 0 {
		// A TAP is found by its name in the network namespace that it is in, which is the host's.
		d.set("Service", "PrivateNetwork", "no")
		d.set("Service", "DeviceAllow", "/dev/net/tun rw")
		d.set("Service", "BindPaths", "-/dev/net/tun")
	}
	if len(m.PCIDevices) > 0 {
		// Of the groups of devices there, the VM's own are what its user may open: vmsilo-pci.
		d.set("Service", "BindPaths", "-/dev/vfio")
		d.set("Service", "DeviceAllow", "/dev/vfio/vfio rw")
		d.set("Service", "DeviceAllow", "char-vfio rw")
		// A device reaches the guest's memory past the processors, so that it all stays in memory, as do its registers.
		d.set("Service", "LimitMEMLOCK", strconv.FormatInt(m.Memory+registers, 10))
	}
	for _, path := range hiddenImages(m, "/run", "/tmp", "/var/tmp") {
		d.set("Service", "BindReadOnlyPaths", "-"+quoteBind(path))
	}
	for _, setting := range known.VMM(m).Sandbox(m) {
		d.set("Service", setting[0], setting[1])
	}
}

// hiddenImages returns what has to be put back of folders that are hidden from a unit, so that it finds m's kernel,
// initrd and root there: what is right below the folder on the way to each. systemd follows a path as root, and the rest
// of the way, in which there may be links of other users, is followed with the rights of who opens the file.
func hiddenImages(m *machine.Machine, folders ...string) (all []string) {
	for _, path := range []string{m.Kernel, m.Initrd, m.Root} {
		for _, folder := range folders {
			rest, below := strings.CutPrefix(filepath.Clean(path), folder+"/")
			first, _, _ := strings.Cut(rest, "/")
			if seen := filepath.Join(folder, first); below && !slices.Contains(all, seen) {
				all = append(all, seen)
			}
		}
	}
	return all
}

// images lets vmsilo-user look at the images that m has in /run, of which it sees no more than its own otherwise.
func images(m *machine.Machine) []File {
	paths := hiddenImages(m, "/run")
	if paths == nil {
		return nil
	}
	d := newNamedDropin("vmsilo-user@"+m.Name+".service", "50-vmsilo-images.conf")
	for _, path := range paths {
		d.set("Service", "BindReadOnlyPaths", "-"+quoteBind(path))
	}
	return []File{d.file()}
}
