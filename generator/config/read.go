package config

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// maxFile is the size in bytes past which a file is taken for a mistake.
const maxFile = 1 << 20

// readFile reads a regular file without ever waiting: a FIFO or a device in its place is an error.
// It returns a nil file and no error for a link to /dev/null, which masks.
func readFile(from source) (*File, error) {
	if !from.regular {
		if target, err := os.Readlink(from.path); err == nil && target == "/dev/null" {
			return nil, nil
		}
		info, err := os.Stat(from.path)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("this is %s, and must be a regular file", kindOf(info.Mode()))
		}
	}
	// The name may be another file by now, so that the opened one is looked at again.
	fd, err := unix.Open(from.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("this changed while it was read")
	}
	if st.Size > maxFile {
		return nil, fmt.Errorf("this is %d bytes long, and a configuration file is 1 MiB at most", st.Size)
	}
	data, err := readAll(fd, st.Size)
	if err != nil {
		return nil, err
	}
	return &File{Path: from.path, data: data}, nil
}

// readAll reads up to the largest size; size is what the file should have. Files of /proc, which have none, may have
// nothing to read for now: that is an error, and not waited for as package os would.
func readAll(fd int, size int64) ([]byte, error) {
	data := make([]byte, 0, size+1)
	for len(data) <= maxFile {
		data = slices.Grow(data, 1)
		switch n, err := unix.Read(fd, data[len(data):cap(data)]); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n == 0:
			return data, nil
		default:
			data = data[:len(data)+n]
		}
	}
	return nil, errors.New("this is longer than 1 MiB, which a configuration file is at most")
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&os.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&os.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}
