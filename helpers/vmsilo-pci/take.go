package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vmsilo/internal/command"
)

// take hands devices to vfio-pci, and lets uid open their groups. The error may be in mid-way, and the record has how far.
func (h host) take(path string, uid int, addresses []string) error {
	if err := h.give(path); err != nil {
		// The driver that had one may not want it any more, and then it can still be a VM's.
		fmt.Fprintln(os.Stderr, "vmsilo-pci: warning: giving back what an earlier run has left:", err)
	}
	devices, err := h.look(path, addresses)
	if err != nil {
		return err
	}
	var r record
	for _, d := range devices {
		override, err := d.override()
		if err != nil {
			return err
		}
		r.Devices = append(r.Devices, taken{d.address, d.driver, override})
	}
	if err := r.write(path); err != nil {
		return err
	}
	for _, d := range devices {
		if err := h.bind(d); err != nil {
			return err
		}
	}
	return h.lend(path, r, uid, devices)
}

// override returns the driver that alone can have the device, or "".
func (d device) override() (string, error) {
	text, err := os.ReadFile(filepath.Join(d.folder, "driver_override"))
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", d, err)
	}
	// The kernel's way to print that there is none.
	return strings.TrimSuffix(strings.TrimSpace(string(text)), "(null)"), nil
}

// bind takes a device from its driver and has vfio-pci have it.
func (h host) bind(d device) error {
	if d.driver == vfio {
		return nil
	}
	err := write(filepath.Join(d.folder, "driver_override"), vfio)
	if err == nil && d.driver != "" {
		err = write(filepath.Join(d.folder, "driver/unbind"), d.address)
	}
	if err == nil {
		err = write(h.bus("drivers_probe"), d.address)
	}
	if err != nil {
		return fmt.Errorf("taking %s from %s for %s: %w", d, d.had(), vfio, err)
	}
	now, err := h.device(d.address)
	if err == nil && now.driver != vfio {
		err = command.Errorf("journalctl --dmesg has what the kernel says", "%s does not take %s", vfio, d)
	}
	if err == nil {
		fmt.Fprintf(os.Stderr, "vmsilo-pci: took %s from %s\n", d, d.had())
	}
	return err
}

// lend lets uid open the devices' groups.
func (h host) lend(path string, r record, uid int, devices []device) error {
	for _, d := range devices {
		place := filepath.Join(h.dev, "vfio", d.group)
		if slices.ContainsFunc(r.Nodes, func(n node) bool { return n.Path == place }) {
			continue
		}
		acl, err := readACL(place)
		if err != nil {
			return fmt.Errorf("lending %s: %w", d, err)
		}
		r.Nodes = append(r.Nodes, node{place, acl})
		if err := r.write(path); err != nil {
			return err
		}
		if err := writeACL(place, withUser(acl, uid)); err != nil {
			return fmt.Errorf("lending %s: %w", d, err)
		}
	}
	return nil
}
