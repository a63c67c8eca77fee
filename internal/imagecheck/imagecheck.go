// Package imagecheck looks at the files that a VMM is about to open, as the user of the VMM.
//
// A guest writes to a disk what it likes. A VMM that finds out for itself what format a disk has takes the header that a
// guest has put on a raw disk for what the host says, and follows it to any file that the VMM may open. So each disk has to
// be what it is said to be: raw, and without a header of any other format; or qcow2, and all of it in this one file. Of
// what is neither a file nor a block device nothing is opened: a FIFO does not hold it up.
package imagecheck

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/ephemeral"
)

// Images are files that a VMM will open.
type Images []image

// image is a file that the VMM will open.
type image struct {
	what, path string
	// format is "raw", "qcow2", or "" for what has none.
	format   string
	writable bool
	// plain tells that it is ours: a file, which no symbolic link leads to.
	plain bool
	// lent tells that it is borrowed.
	lent bool
	// size is that of a disk to be made, in bytes, or 0.
	size int64
}

// Flags adds the options that tell which files there are, each of which may be given more than once:
//
//	--file=WHAT=PATH                a file that the VMM reads as it is, and what it is to the VM
//	--disk=WHAT,FORMAT,ro|rw=PATH   a disk, what it is to the VM, its format, raw or qcow2, and whether the VM only reads it
//	--ephemeral=BYTES=PATH          the ephemeral disk, which is a plain file that Make makes, of this size
//	--lent=WHAT,FORMAT,ro|rw=PATH   a disk, as --disk has it, that is borrowed in the order of these options
func (images *Images) Flags(flags *flag.FlagSet) {
	flags.Func("file", "a file that the VMM reads, as WHAT=PATH", func(text string) error {
		what, path, ok := strings.Cut(text, "=")
		*images = append(*images, image{what: what, path: path})
		return valid(ok)
	})
	disk := func(lent bool) func(string) error {
		return func(text string) error {
			options, path, ok := strings.Cut(text, "=")
			words := append(strings.Split(options, ","), "", "")
			*images = append(*images, image{what: words[0], path: path, format: words[1], writable: words[2] == "rw", lent: lent})
			return valid(ok && len(words) == 5 && (words[1] == "raw" || words[1] == "qcow2") && (words[2] == "ro" || words[2] == "rw"))
		}
	}
	flags.Func("disk", "a disk, as WHAT,FORMAT,ro=PATH or WHAT,FORMAT,rw=PATH", disk(false))
	flags.Func("lent", "a disk that is lent, in the same way", disk(true))
	flags.Func("ephemeral", "the ephemeral disk, as BYTES=PATH", func(text string) error {
		bytes, path, _ := strings.Cut(text, "=")
		size, err := strconv.ParseInt(bytes, 10, 64)
		*images = append(*images, image{what: "ephemeral disk", path: path, format: "qcow2", writable: true, plain: true, size: size})
		return valid(err == nil && size > 0)
	})
}

func valid(ok bool) error {
	if !ok {
		return errors.New("malformed")
	}
	return nil
}

// Make makes the ephemeral disk, if there is one: of each start a new one.
func (images Images) Make() error {
	for _, i := range images {
		if i.size > 0 {
			if err := ephemeral.Create(i.path, i.size); err != nil {
				return err
			}
		}
	}
	return nil
}

// Check returns what is wrong with the first file that is not what it is said to be, or that this user may not open. What
// is borrowed has passed the check when it is kept, in order.
func (images Images) Check(borrow func() (*os.File, error), keep func(*os.File) error) error {
	for _, i := range images {
		open, done := i.open, (*os.File).Close
		if i.lent {
			open, done = borrow, keep
		}
		if err := i.check(open, done); err != nil {
			return fmt.Errorf("this VM cannot start: its %s %q %w", i.what, i.path, err)
		}
	}
	return nil
}

// check returns what is wrong with the image, in words that follow its name.
func (i image) check(open func() (*os.File, error), done func(*os.File) error) error {
	file, err := open()
	if err != nil {
		return err
	}
	if err := i.is(file); err != nil {
		return errors.Join(err, file.Close())
	}
	return done(file)
}

// is returns an error unless the file has the format of the image.
func (i image) is(file *os.File) error {
	h, err := headerOf(file)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	switch i.format {
	case "raw":
		if other := h.format(); other != "" {
			return command.Errorf("the VM may have written it, to read the host's files; put back the first and last 512 bytes that the disk should have, or another disk",
				"is to be raw, and has the header of %s", other)
		}
	case "qcow2":
		return h.qcow2()
	}
	return nil
}

// open opens the image as the VMM will.
func (i image) open() (*os.File, error) {
	seen, err := i.look()
	if err != nil {
		return nil, err
	}
	defer unix.Close(seen)
	var st unix.Stat_t
	if err := unix.Fstat(seen, &st); err != nil {
		return nil, fmt.Errorf("cannot be looked at: %w", err)
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		return nil, errors.New("is a symbolic link")
	case kind == unix.S_IFBLK && i.format != "" && !i.plain:
	case kind != unix.S_IFREG:
		return nil, errors.New("is not a regular file")
	}
	mode := unix.O_RDONLY
	if i.writable {
		mode = unix.O_RDWR
	}
	// The same file by another name. What holds a lease on it does not hold this up.
	file, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", seen), mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, command.Errorf(fmt.Sprintf("the VM runs as uid %d, which has to reach the file", os.Getuid()), "cannot be opened: %w", err)
	}
	return os.NewFile(uintptr(file), i.path), nil
}

// look returns a descriptor for the image that nothing can be read from.
func (i image) look() (int, error) {
	at, name, follow := unix.AT_FDCWD, i.path, 0
	if i.plain {
		folder, err := unix.Open(filepath.Dir(i.path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("is not there: %w", err)
		}
		defer unix.Close(folder)
		at, name, follow = folder, filepath.Base(i.path), unix.O_NOFOLLOW
	}
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_CLOEXEC|follow, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return -1, errors.New("is not there")
	case err != nil:
		return -1, command.Errorf(fmt.Sprintf("the VM runs as uid %d, which has to reach the file", os.Getuid()), "cannot be reached: %w", err)
	}
	return fd, nil
}
