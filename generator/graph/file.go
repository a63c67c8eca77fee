package graph

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is one file of the graph.
type File struct {
	// Path is relative to the generator's folder, with one folder at most.
	Path string
	// Content is what a regular file holds.
	Content []byte
	// Target is where a symbolic link points; a file with one has no content.
	Target string
}

// Write writes every file below folder, a new folder that systemd made for the generator. Each file gets its name when
// it is whole. The kernel's part of the work is by far the largest, so that every processor takes VMs one by one.
// The error is the first VM's that has one; the others are written all the same.
func (g *Graph) Write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing units: %w", err)
	}
	dir, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("writing units: %w", &os.PathError{Op: "open", Path: folder, Err: err})
	}
	defer unix.Close(dir)
	errs := make([]error, len(g.vms)+1)
	errs[len(g.vms)] = write(dir, g.common())
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := next.Add(1) - 1; i < int64(len(g.vms)); i = next.Add(1) - 1 {
				errs[i] = write(dir, g.vms[i].files())
			}
		}()
	}
	workers.Wait()
	return cmp.Or(errs...)
}

func write(dir int, files []File) error {
	for _, f := range files {
		if err := f.write(dir); err != nil {
			return fmt.Errorf("writing units: %w", &os.PathError{Op: "write", Path: f.Path, Err: err})
		}
	}
	return nil
}

// write writes f below dir. With thousands of small files, what package os does beside the system calls takes as long
// as these.
func (f File) write(dir int) error {
	if parent := path.Dir(f.Path); parent != "." {
		if err := unix.Mkdirat(dir, parent, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	if f.Target == "" {
		return writeWhole(dir, f.Path, f.Content)
	}
	err := unix.Symlinkat(f.Target, dir, f.Path)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlinkat(dir, f.Path, 0); err == nil {
			err = unix.Symlinkat(f.Target, dir, f.Path)
		}
	}
	return err
}

// writeWhole writes a file under another name, which is no drop-in's, and renames it.
func writeWhole(dir int, name string, content []byte) error {
	temporary := name + ".tmp"
	fd, err := unix.Openat(dir, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	return unix.Renameat(dir, temporary, dir, name)
}
