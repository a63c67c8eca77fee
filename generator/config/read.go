package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFile is the size in bytes past which a file is taken for a mistake.
const maxFile = 1 << 20

// readFile reads a regular file without ever waiting: a FIFO or a device in its place is an error.
// It returns a nil file and no error for a link to /dev/null, which masks.
func readFile(path string) (*File, error) {
	if target, err := os.Readlink(path); err == nil && target == "/dev/null" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("this is %s, and must be a regular file", kindOf(info.Mode()))
	}
	// The name may be another file by now, so that the opened one is looked at again.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("this changed while it was read")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("this is %d bytes long, and a configuration file is 1 MiB at most", info.Size())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	return &File{Path: path, data: data}, nil
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
