package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// disk is one that is lent.
type disk struct {
	// path is absolute.
	path     string
	writable bool
}

// open opens the disk. The error is in words that follow its name.
func (d disk) open() (*os.File, error) {
	seen, err := d.look()
	if err != nil {
		return nil, err
	}
	defer unix.Close(seen)
	mode := unix.O_RDONLY
	if d.writable {
		// Of a block device O_EXCL says that nobody else is to have it: open(2). Of a file it says nothing without O_CREAT.
		mode = unix.O_RDWR | unix.O_EXCL
	}
	// The same file by another name. What holds a lease on it does not hold this up.
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", seen), mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EROFS):
		return nil, command.Errorf("write it with read_only = true", "is on a read-only file system")
	case errors.Is(err, unix.EBUSY):
		return nil, command.Errorf("lsblk shows what is mounted", "is in use: mounted, part of a volume, or another VM's")
	case err != nil:
		return nil, fmt.Errorf("cannot be opened: %w", err)
	}
	return os.NewFile(uintptr(fd), d.path), nil
}

// look returns a descriptor of the disk that nothing can be read from, once it is of the right kind.
func (d disk) look() (int, error) {
	device := strings.HasPrefix(d.path, "/dev/")
	open := openWithoutLinks
	if device {
		// Only root makes links there.
		open = func(path string) (int, error) { return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) }
	}
	fd, err := open(d.path)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return -1, errors.New("is not there")
	case errors.Is(err, unix.ELOOP):
		return -1, command.Errorf("write the path that it leads to", "is a symbolic link, or goes through one")
	case err != nil:
		return -1, fmt.Errorf("cannot be reached: %w", err)
	}
	if err := isOf(fd, device); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openWithoutLinks opens an absolute path with O_PATH. The error is ELOOP where a part of it is a symbolic link. It does
// what openat2(2) does with RESOLVE_NO_SYMLINKS, which RestrictSUIDSGID= takes away.
func openWithoutLinks(path string) (int, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if err != nil {
			return -1, err
		}
		var next int
		next, err = unix.Openat(at, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(at)
		at = next
		var st unix.Stat_t
		if err == nil && unix.Fstat(at, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			unix.Close(at)
			return -1, unix.ELOOP
		}
	}
	return at, err
}

// isOf returns an error for what is not a block device, where that is wanted, and else for what is not a regular file.
func isOf(fd int, device bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("cannot be looked at: %w", err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case device && kind != unix.S_IFBLK:
		return errors.New("is not a block device")
	case kind == unix.S_IFBLK && !device:
		return command.Errorf("write its path in /dev", "is a block device")
	case kind != unix.S_IFREG && !device:
		return errors.New("is not a regular file")
	}
	return nil
}
