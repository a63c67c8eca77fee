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

// tree is a folder in which nothing leads out: openat2(2).
type tree struct {
	*os.File
	// resolve says what is done about symlinks.
	resolve uint64
}

// open opens what is at a path in the tree, if it is of that kind, a file type of stat(2). A FIFO or a device is not opened,
// which could wait or do something.
func (t tree) open(path string, kind uint32) (*os.File, error) {
	fd, err := t.find(path)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("looking at %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != kind {
		return nil, fmt.Errorf("opening %q: %w", path, errKind)
	}
	// The very file that was looked at.
	return os.Open(fmt.Sprint("/proc/self/fd/", fd))
}

// errKind is the error for a FIFO, a device, or another file of the wrong kind.
var errKind = errors.New("it is neither a plain file nor a folder, or the other of the two")

// find returns a descriptor that stands for a file, and reads none of it.
func (t tree) find(path string) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: t.resolve | unix.RESOLVE_NO_MAGICLINKS}
	// A folder that is renamed meanwhile may have the kernel ask for another try.
	for range 10 {
		fd, err = unix.Openat2(int(t.Fd()), path, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return fd, err
}

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
