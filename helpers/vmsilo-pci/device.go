package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vmsilo/internal/command"
)

// host is where a host has its files.
type host struct {
	// sys and dev are /sys and /dev, mounts is a file as of proc_pid_mountinfo(5), and swaps one as /proc/swaps.
	sys, dev, mounts, swaps string
}

// bus is the folder of the PCI bus, and of the driver for devices that are handed on.
func (h host) bus(elem ...string) string {
	return filepath.Join(append([]string{h.sys, "bus/pci"}, elem...)...)
}

// vfio is the driver for devices that are handed on.
const vfio = "vfio-pci"

// device is a PCI device of the host.
type device struct {
	// address is as lspci -D prints it.
	address string
	// folder is the device's in sysfs.
	folder string
	// class is the PCI class: 0x060400 is a bridge.
	class uint64
	// driver is the name of the one that has it, or "".
	driver string
	// group is the number of its IOMMU group, or "".
	group string
}

func (d device) String() string { return fmt.Sprintf("PCI device %q", d.address) }

// device looks at a device as it is now.
func (h host) device(address string) (device, error) {
	d := device{address: address, folder: h.bus("devices", address)}
	class, err := os.ReadFile(filepath.Join(d.folder, "class"))
	if errors.Is(err, fs.ErrNotExist) {
		return d, command.Errorf("lspci -D prints those that are", "%s is not there", d)
	} else if err != nil {
		return d, fmt.Errorf("looking at %s: %w", d, err)
	}
	if d.class, err = strconv.ParseUint(strings.TrimSpace(string(class)), 0, 32); err != nil {
		return d, fmt.Errorf("looking at %s: its class: %w", d, err)
	}
	for name, to := range map[string]*string{"driver": &d.driver, "iommu_group": &d.group} {
		target, err := os.Readlink(filepath.Join(d.folder, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d, fmt.Errorf("looking at %s: %w", d, err)
		}
		if err == nil {
			*to = filepath.Base(target)
		}
	}
	return d, nil
}

// isBridge tells whether the device is a part of the host's board: a bridge to another bus, to devices that are no PCI
// devices, or to the processors.
func (d device) isBridge() bool { return d.class>>16 == 0x06 }

// had tells who has the device.
func (d device) had() string {
	if d.driver == "" {
		return "nobody"
	}
	return d.driver
}

// write writes to a file of sysfs.
func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
