package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// give undoes what a record says, as far as it can be, and removes it.
func (h host) give(path string) error {
	r, err := read(path)
	if err != nil {
		return err
	}
	var errs []error
	// First these: with the last device of a group its file goes, and the next one of that name is another's.
	for _, n := range r.Nodes {
		if err := writeACL(n.Path, n.ACL); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("taking back %q: %w", n.Path, err))
		}
	}
	for _, d := range r.Devices {
		errs = append(errs, h.giveBack(d))
	}
	return errors.Join(append(errs, remove(path))...)
}

// giveBack has the driver have a device that had it before. One that has gone meanwhile is no failure.
func (h host) giveBack(t taken) error {
	d, err := h.device(t.Address)
	if err == nil {
		err = h.unbind(d, t)
	}
	if _, gone := os.Lstat(d.folder); errors.Is(gone, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (h host) unbind(d device, t taken) error {
	override := t.Override
	if override == "" {
		// An empty line is none.
		override = "\n"
	}
	err := write(filepath.Join(d.folder, "driver_override"), override)
	if err != nil || d.driver == t.Driver {
		return err
	}
	if d.driver != "" {
		err = write(filepath.Join(d.folder, "driver/unbind"), d.address)
	}
	if err == nil && t.Driver != "" {
		err = write(h.bus("drivers", t.Driver, "bind"), d.address)
	}
	if err != nil {
		return fmt.Errorf("giving %s back to %q: %w", d, t.Driver, err)
	}
	fmt.Fprintf(os.Stderr, "vmsilo-pci: gave %s back to %s\n", d, device{driver: t.Driver}.had())
	return nil
}
