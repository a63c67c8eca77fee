package apps

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// tree is a folder in which nothing leads out.
type tree struct {
	*os.File
	// find returns a descriptor that stands for the file at a path in the folder, and reads none of it.
	find func(folder int, path string) (fd int, err error)
}

// asInside finds a file as a process does whose root the folder is: openat2(2).
func asInside(folder int, path string) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	// A folder that is renamed meanwhile may have the kernel ask for another try.
	for range 10 {
		fd, err = unix.Openat2(folder, path, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return fd, err
}

// withoutLinks finds what has that very name in the folder. It is for a unit, where RestrictSUIDSGID= leaves no openat2(2).
func withoutLinks(folder int, name string) (fd int, err error) {
	return unix.Openat(folder, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// open opens what is at a path in the tree, if it is of that kind, a file type of stat(2). A FIFO or a device is not opened,
// which could wait or do something; nor is a symlink, where none is followed.
func (t tree) open(path string, kind uint32) (*os.File, error) {
	fd, err := t.find(int(t.Fd()), path)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("looking at %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != kind {
		return nil, fmt.Errorf("opening %q: it is not %s", path, kinds[kind])
	}
	// The very file that was looked at.
	return os.Open(fmt.Sprint("/proc/self/fd/", fd))
}

// kinds are what messages call file types of stat(2).
var kinds = map[uint32]string{unix.S_IFREG: "a plain file", unix.S_IFDIR: "a folder"}

// read returns the content of a regular file.
func (t tree) read(path string) ([]byte, error) {
	file, err := t.open(path, unix.S_IFREG)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%q is longer than %d KiB", path, maxFile>>10)
	}
	return data, err
}

// list returns the names in a folder, in their order. There are none in one that is not there.
func (t tree) list(path string) (names []string, err error) {
	folder, err := t.open(path, unix.S_IFDIR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err = folder.Readdirnames(maxNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("listing %q: %w", path, err)
	}
	slices.Sort(names)
	return names, nil
}
