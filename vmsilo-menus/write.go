package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fresh is the name of a folder that is not whole yet, or goes away. No uid is like it.
const fresh = ".new"

// write makes the folder have these menus and nothing else.
func (m menus) write(folder string) error {
	var errs []error
	for uid, files := range m {
		if path := filepath.Join(folder, uid); !holds(path, files) {
			errs = append(errs, replace(path, files))
		}
	}
	entries, err := os.ReadDir(folder)
	errs = append(errs, err)
	for _, e := range entries {
		if m[e.Name()] == nil {
			errs = append(errs, os.RemoveAll(filepath.Join(folder, e.Name())))
		}
	}
	return errors.Join(errs...)
}

var errDiffers = errors.New("it differs")

// holds tells whether a folder has these files, and no others. What a power cut left is none of them.
func holds(folder string, files map[string][]byte) bool {
	found := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		want, wanted := files[name]
		if data, err := os.ReadFile(path); !wanted || err != nil || !bytes.Equal(data, want) {
			return errDiffers
		}
		found++
		return nil
	})
	return err == nil && found == len(files)
}

// replace puts a folder with these files in the place of what is there, in one step.
func replace(path string, files map[string][]byte) error {
	work := filepath.Join(filepath.Dir(path), fresh)
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	for name, data := range files {
		file := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	err := unix.Renameat2(unix.AT_FDCWD, work, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) {
		return os.Rename(work, path)
	} else if err != nil {
		return &os.LinkError{Op: "exchange", Old: work, New: path, Err: err}
	}
	return os.RemoveAll(work)
}
