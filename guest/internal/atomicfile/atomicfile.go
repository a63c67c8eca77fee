// Package atomicfile writes the files that others of the guest read while it boots.
package atomicfile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Write puts data into the file name of directory dir, in one step: it writes a file beside it and renames that. Dir
// itself must be a directory and not a symlink; whatever is at name is replaced and never followed. So a file tree
// that somebody else made cannot lead the write astray.
func Write(dir, name string, data []byte, mode os.FileMode) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	temp := "." + name + ".vmsilo"
	if err := unix.Unlinkat(fd, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing %s/%s: %w", dir, temp, err)
	}
	if err := create(fd, temp, data, mode); err != nil {
		_ = unix.Unlinkat(fd, temp, 0)
		return fmt.Errorf("writing %s/%s: %w", dir, temp, err)
	}
	if err := unix.Renameat(fd, temp, fd, name); err != nil {
		_ = unix.Unlinkat(fd, temp, 0)
		return fmt.Errorf("renaming %s/%s to %s: %w", dir, temp, name, err)
	}
	return nil
}

func create(dir int, name string, data []byte, mode os.FileMode) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil { // the umask has no say
		return err
	}
	return f.Close()
}
