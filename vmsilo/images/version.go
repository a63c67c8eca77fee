package images

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
)

// versionName returns the name of a version that was made then: the time in UTC, by which versions sort, and the
// beginning of a hash of its files, by which two that are the same are known.
func versionName(folder string, made time.Time) (string, error) {
	hash := sha256.New()
	for _, part := range parts {
		if err := hashFile(hash, filepath.Join(folder, part)); err != nil {
			return "", fmt.Errorf("naming the version: %w", err)
		}
	}
	return fmt.Sprintf("%s-%.6x", made.UTC().Format("20060102T150405Z"), hash.Sum(nil)), nil
}

// hashFile adds a file to the hash, with its length before it: no other three files look the same together.
func hashFile(hash io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintln(hash, info.Size())
	_, err = io.Copy(hash, file)
	return err
}

// twin returns the version of the image that has the same files as the one named like, or "".
func (s Store) twin(name, like string) string {
	_, hash, _ := strings.Cut(like, "-")
	found, _ := filepath.Glob(s.path("."+name, "[0-9]*-"+hash)) // the pattern is well-formed
	if len(found) == 0 {
		return ""
	}
	return filepath.Base(found[len(found)-1])
}

// point makes the link of the image lead to a version. A plain folder in its place becomes a version.
// The caller holds the lock.
func (s Store) point(name, version string) error {
	if err := s.replaceable(name); err != nil {
		return err
	}
	target := filepath.Join("."+name, version)
	info, err := os.Lstat(s.path(name))
	if err == nil && info.IsDir() {
		err = s.adopt(name, target)
	} else {
		err = s.link(target, s.path(name))
	}
	if err != nil {
		return fmt.Errorf("making version %q of image %q the current one: %w", version, name, err)
	}
	return nil
}

// replaceable returns an error if what has the image's name is neither a version's link nor a plain folder.
func (s Store) replaceable(name string) error {
	info, err := os.Lstat(s.path(name))
	if errors.Is(err, fs.ErrNotExist) || s.current(name) != "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at image %q: %w", name, err)
	}
	if !info.IsDir() {
		return command.Errorf("move it away, or give the image another name",
			"%q is neither a folder nor a link to a version of the image", s.path(name))
	}
	for _, part := range parts {
		if _, err := os.Stat(s.path(name, part)); err != nil {
			return command.Errorf("move it away, or give the image another name", "%q is a folder, and no image: %w", s.path(name), err)
		}
	}
	return nil
}

// link puts a link at path, in the place of one that is there.
func (s Store) link(target, path string) error {
	fresh := s.path(filepath.Dir(target), ".link")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// adopt makes a version of the plain folder NAME and puts a link in its place: both exchange their names in one step,
// so that the image is there at any time.
func (s Store) adopt(name, target string) error {
	made := time.Now()
	if info, err := os.Stat(s.path(name, "root.erofs")); err == nil {
		made = info.ModTime()
	}
	version, err := versionName(s.path(name), made)
	if err != nil {
		return err
	}
	kept := s.path("."+name, version)
	if err := s.link(target, kept); err != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, kept, unix.AT_FDCWD, s.path(name), unix.RENAME_EXCHANGE)
	if err != nil {
		return errors.Join(&os.LinkError{Op: "exchange", Old: kept, New: s.path(name), Err: err}, os.Remove(kept))
	}
	return nil
}

// openedBy names a process that has a file open whose path holds folder, or returns "".
func openedBy(folder string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well-formed
	for _, l := range links {
		path, err := os.Readlink(l)
		if err != nil || !strings.Contains(path, "/"+folder+"/") {
			continue // what cannot be read is gone by now
		}
		pid := strings.Split(l, "/")[2]
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm")) // its number will do without
		return fmt.Sprintf("process %s (%s)", pid, bytes.TrimSpace(name))
	}
	return ""
}
