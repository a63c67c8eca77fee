package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"vmsilo/internal/command"
)

// look returns the devices of a VM, once each of them can be had, and a VM's guest cannot reach more by it than that device.
func (h host) look(record string, addresses []string) ([]device, error) {
	taken, err := others(record)
	if err != nil {
		return nil, err
	}
	disks, err := h.diskUses()
	if err == nil {
		err = h.busy(disks, addresses)
	}
	if err != nil {
		return nil, err
	}
	var devices []device
	for _, address := range addresses {
		d, err := h.device(address)
		if err != nil {
			return nil, err
		}
		switch {
		case d.isBridge():
			return nil, fmt.Errorf("%s is a bridge, of class 0x%04x: what is behind it can be passed to a VM", d, d.class>>8)
		case taken[address] != "":
			return nil, command.Errorf("systemctl stop vmsilo@"+taken[address], "%s is in VM %q", d, taken[address])
		case disks[address] != "":
			return nil, command.Errorf("unmount what is on it, or stop who uses it, if the host can do without", "%s has a disk of the host, with %s", d, disks[address])
		case d.group == "":
			return nil, command.Errorf("switch it on in the firmware (VT-d, AMD-Vi), and with intel_iommu=on on the host's kernel command line",
				"%s is in no IOMMU group: the host has no IOMMU, or makes no use of it", d)
		}
		if err := h.checkGroup(d, addresses); err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	if _, err := os.Stat(h.bus("drivers", vfio)); err != nil {
		return nil, command.Errorf("modprobe vfio-pci says why", "the host has no driver %q for its PCI devices: %w", vfio, err)
	}
	return devices, nil
}

// checkGroup wants all of a device's IOMMU group in one VM, but for bridges: the group is what an IOMMU can tell apart, and
// what the device can reach.
func (h host) checkGroup(d device, passed []string) error {
	members, err := os.ReadDir(filepath.Join(d.folder, "iommu_group/devices"))
	if err != nil {
		return fmt.Errorf("looking at the IOMMU group of %s: %w", d, err)
	}
	for _, m := range members {
		if slices.Contains(passed, m.Name()) {
			continue
		}
		other, err := h.device(m.Name())
		if err != nil {
			return err
		}
		if !other.isBridge() {
			return command.Errorf("pass both to the VM, or put the card into another slot",
				"%s is in one IOMMU group with %q, which %s has: each could reach the other", d, other.address, other.had())
		}
	}
	return nil
}
