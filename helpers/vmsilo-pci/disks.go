package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// uses says of PCI devices, by their addresses, what the host has on disks behind them.
type uses map[string]string

// diskUses finds the devices that the host's mounted file systems and its swap are on.
func (h host) diskUses() (uses, error) {
	found := uses{}
	err := each(h.mounts, func(line string) error {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		mount, rest, ok := strings.Cut(line, " - ")
		fields, source := strings.Fields(mount), strings.Fields(rest)
		if !ok || len(fields) < 5 || len(source) < 2 {
			return fmt.Errorf("no mount: %q", line)
		}
		return h.mounted(found, fields[2], fields[4], source[0], source[1])
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the host's disks: %w", err)
	}
	err = each(h.swaps, func(line string) error {
		// Filename Type Size Used Priority. A file is on a file system that is mounted.
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[1] != "partition" {
			return nil
		}
		number, err := deviceNumber(fields[0])
		if err == nil {
			err = h.under(found, number, "swap")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the host's swap: %w", err)
	}
	return found, nil
}

// each calls visit with every line of a file.
func each(path string, visit func(line string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := visit(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// mounted adds what a file system is on that is mounted at a place.
func (h host) mounted(found uses, number, place, kind, source string) error {
	what := fmt.Sprintf("%q", place)
	if !strings.HasPrefix(number, "0:") {
		return h.under(found, number, what)
	}
	// Some have a number of their own, and name their disks. Others are on none.
	for _, path := range strings.Split(source, ":") {
		if !strings.HasPrefix(path, "/dev/") {
			continue
		}
		number, err := deviceNumber(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = h.under(found, number, what)
		}
		if err == nil && kind == "btrfs" {
			err = h.btrfs(found, number, what)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// btrfs adds the other disks of a btrfs that is on a block device.
func (h host) btrfs(found uses, number, what string) error {
	seen, err := filepath.EvalSymlinks(filepath.Join(h.sys, "dev/block", number))
	if err != nil {
		return err
	}
	one, _ := filepath.Glob(filepath.Join(h.sys, "fs/btrfs/*/devices", filepath.Base(seen)))
	for _, path := range one {
		all, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		for _, disk := range all {
			if err := h.behind(found, disk, what); err != nil {
				return err
			}
		}
	}
	return nil
}

// deviceNumber returns the number of a block device as sysfs has it: 8:1.
func deviceNumber(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), nil
}

// under adds the PCI devices that a block device of the given number is on.
func (h host) under(found uses, number, what string) error {
	return h.behind(found, filepath.Join(h.sys, "dev/block", number), what)
}

// pciAddress is what the folder of a PCI device is called.
var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// behind adds the PCI devices on the way to a block device, whose folder or a link to it is given, and to those that it is
// made of: the disks of a RAID, or what an encrypted or logical volume is on.
func (h host) behind(found uses, path, what string) error {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range strings.Split(real, "/") {
		if pciAddress.MatchString(name) && found[name] == "" {
			found[name] = what
		}
	}
	// A partition's disk has these, too. A disk of NVMe with several controllers is in a folder beside the links to them.
	for _, pattern := range []string{"slaves/*", "../slaves/*", "../nvme[0-9]*", "../../nvme[0-9]*"} {
		parts, _ := filepath.Glob(filepath.Join(real, pattern))
		for _, part := range parts {
			info, err := os.Lstat(part)
			if err != nil || info.Mode()&fs.ModeSymlink == 0 {
				continue
			}
			if err := h.behind(found, part, what); err != nil {
				return err
			}
		}
	}
	return nil
}
