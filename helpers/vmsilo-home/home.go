package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeHome makes folder for owner when it is not there.
func makeHome(folder, template string, owner account) error {
	parent, err := openParent(folder, owner)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := isFolder(parent, filepath.Base(folder), owner); !errors.Is(err, unix.ENOENT) {
		return err
	}
	h := home{parent, filepath.Base(folder), owner}
	// What an earlier run left.
	h.clear()
	if err := h.make(template); err != nil {
		h.clear()
		return err
	}
	return nil
}

// home is a home that is being made in the folder parent.
type home struct {
	parent int
	base   string
	owner  account
}

// temporary is its name until it is whole.
func (h home) temporary() string { return "." + h.base + ".new" }

func (h home) make(template string) error {
	err := h.owner.do(func() error { return unix.Mkdirat(h.parent, h.temporary(), 0o700) })
	if errors.Is(err, unix.EACCES) {
		err = h.makeAsRoot()
	}
	if err != nil {
		return err
	}
	if err := h.inside(func(path string) error { return fill(path, template) }); err != nil {
		return err
	}
	return h.owner.either(func() error {
		return unix.Renameat2(h.parent, h.temporary(), h.parent, h.base, unix.RENAME_NOREPLACE)
	})
}

// makeAsRoot makes it in a folder that the owner cannot write to, and gives it to the owner.
func (h home) makeAsRoot() error {
	var st unix.Stat_t
	if err := unix.Fstat(h.parent, &st); err != nil {
		return err
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		return fmt.Errorf("the folder around it belongs to neither the user nor root alone (uid %d, mode %v)", st.Uid, fs.FileMode(st.Mode&0o777))
	}
	if err := unix.Mkdirat(h.parent, h.temporary(), 0o700); err != nil {
		return err
	}
	return unix.Fchownat(h.parent, h.temporary(), h.owner.uid, h.owner.gid, unix.AT_SYMLINK_NOFOLLOW)
}

// inside runs f with the owner's rights on the path of what is there under the temporary name. The path is one of
// proc(5), so that nothing on the way to it matters any more.
func (h home) inside(f func(path string) error) error {
	var dir int
	err := h.owner.either(func() (err error) {
		dir, err = unix.Openat(h.parent, h.temporary(), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return h.owner.do(func() error { return f(fmt.Sprintf("/proc/self/fd/%d", dir)) })
}

// clear removes what is there under the temporary name. What cannot be removed is met by the attempt to make it.
func (h home) clear() {
	h.inside(func(path string) error {
		entries, err := os.ReadDir(path)
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
		}
		return err
	})
	h.owner.either(func() error { return unix.Unlinkat(h.parent, h.temporary(), unix.AT_REMOVEDIR) })
}
