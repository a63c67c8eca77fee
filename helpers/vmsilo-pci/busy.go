package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// busy adds those of the addresses on whose disks somebody is whom neither the mounts nor the swaps tell of: another VM, an active
// volume or RAID, a mount of some container. A block device that somebody has for himself cannot be opened with O_EXCL: open(2).
func (h host) busy(found uses, addresses []string) error {
	disks, err := os.ReadDir(filepath.Join(h.sys, "class/block"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for disks: %w", err)
	}
	for _, disk := range disks {
		path := filepath.Join(h.dev, strings.ReplaceAll(disk.Name(), "!", "/"))
		on := uses{}
		if err := h.behind(on, filepath.Join(h.sys, "class/block", disk.Name()), fmt.Sprintf("%q, which is in use", path)); err != nil {
			return err
		}
		for _, address := range addresses {
			if on[address] == "" || found[address] != "" || !isBusy(path) {
				continue
			}
			found[address] = on[address]
		}
	}
	return nil
}

// isBusy tells whether somebody has a block device for himself. Of one that cannot be opened for another reason, such as an empty
// drive, nobody has anything.
func isBusy(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_EXCL|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EBUSY)
}
