package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// fill copies the files, folders and symbolic links of template into home, which is empty, with the rights of whoever
// runs it: it reads nothing that these do not read, and writes nowhere that they do not write.
// A template that is not there is empty.
func fill(home, template string) error {
	if template == "" {
		return nil
	}
	err := filepath.WalkDir(template, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == template {
			return err
		}
		name, err := filepath.Rel(template, path)
		if err != nil {
			return err
		}
		return copyEntry(filepath.Join(home, name), path, entry)
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(template); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("filling it from the template: %w", err)
	}
	return nil
}

func copyEntry(to, from string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case 0:
		return copyFile(to, from, info.Mode().Perm())
	case fs.ModeDir:
		// What is put into it needs the right to.
		return errors.Join(os.Mkdir(to, 0o700), os.Chmod(to, info.Mode().Perm()|0o700))
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	return fmt.Errorf("%q is neither a file, a folder nor a symbolic link", from)
}

func copyFile(to, from string, mode fs.FileMode) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
