// Package ephemeral makes and removes the disk that takes a VM's writes to its root.
package ephemeral

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

// Remove removes a disk, or whatever a VMM that its guest has taken over has put in its place: a folder, too. One that is not
// there is no error. Links are not followed.
func Remove(file string) error {
	// A folder that its owner may not enter is opened first. What cannot be opened cannot be removed either.
	_ = filepath.WalkDir(file, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err := os.RemoveAll(file); err != nil {
		return fmt.Errorf("removing disk %q: %w", file, err)
	}
	return nil
}
