// Package ephemeral makes and removes the disk that takes a VM's writes to its root.
package ephemeral

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Create makes an empty, sparse qcow2 of so many bytes with qemu-img(1), in the place of what an earlier run left.
func Create(file string, size int64) error {
	if size <= 0 {
		return fmt.Errorf("creating disk %q: %d is no size for it", file, size)
	}
	if err := Remove(file); err != nil {
		return err
	}
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "--", file, strconv.FormatInt(size, 10)).CombinedOutput()
	if err != nil {
		return errors.Join(
			fmt.Errorf("creating disk %q: %w: %s", file, err, strings.TrimSpace(string(out))),
			Remove(file),
		)
	}
	return nil
}

// Remove removes a disk. One that is not there is no error.
func Remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing disk %q: %w", file, err)
	}
	return nil
}
