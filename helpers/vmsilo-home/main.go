// Vmsilo-home makes the folder that a VM's user has as home, or looks whether another shared folder is there.
//
// Synopsis:
//
//	vmsilo-home --owner=USER FOLDER
//	vmsilo-home FOLDER
//
// Description:
//
// Without an owner the folder has to be there, with no symbolic link on the way, and nothing is made.
//
// With one, a folder that is there already is left as it is, whoever owns it. A missing one is made with mode 0700, owned
// by USER, a name or a uid, and that user's group. The folder around it must be there. No symbolic link is
// followed on the way. The folder is made with USER's rights where USER may do that, and else with root's,
// for which the folder around it must be root's alone: nobody can change it meanwhile.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-home", flag.ContinueOnError)
	name := flags.String("owner", "", "the user who gets the folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || !filepath.IsAbs(flags.Arg(0)) {
		return fmt.Errorf("want one absolute path, got %q", flags.Args())
	}
	folder := filepath.Clean(flags.Arg(0))
	if *name == "" {
		if err := lookAt(folder); err != nil {
			return fmt.Errorf("sharing %q: %w", folder, err)
		}
		return nil
	}
	owner, err := lookUp(*name)
	if err != nil {
		return err
	}
	// Rights on files are a thread's: setfsuid(2).
	runtime.LockOSThread()
	if err := makeHome(folder, owner); err != nil {
		return fmt.Errorf("making the shared home %q: %w", folder, err)
	}
	return nil
}

func makeHome(folder string, owner account) error {
	err := as(owner, func() error { return makeFolder(folder, nil) })
	if errors.Is(err, unix.EACCES) {
		err = makeFolder(folder, &owner)
	}
	return err
}

// as runs f with the rights of owner on files.
func as(owner account, f func() error) error {
	if err := errors.Join(unix.Setfsgid(owner.gid), unix.Setfsuid(owner.uid)); err != nil {
		return err
	}
	return errors.Join(f(), unix.Setfsuid(0), unix.Setfsgid(0))
}

// makeFolder makes folder when it is not there, and gives it to owner unless that is nil.
func makeFolder(folder string, owner *account) error {
	parent, err := openParent(folder)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	base := filepath.Base(folder)
	if err := isFolder(parent, base); !errors.Is(err, unix.ENOENT) {
		return err
	}
	if owner == nil {
		return unix.Mkdirat(parent, base, 0o700)
	}
	return makeOwned(parent, base, *owner)
}

// lookAt fails when folder is not there.
func lookAt(folder string) error {
	parent, err := openParent(folder)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	err = isFolder(parent, filepath.Base(folder))
	if errors.Is(err, unix.ENOENT) {
		return command.Errorf("make it first", "it is not there")
	}
	return err
}

// openParent opens the folder around another.
func openParent(folder string) (int, error) {
	around := filepath.Dir(folder)
	parent, err := unix.Openat2(unix.AT_FDCWD, around, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	switch {
	case errors.Is(err, unix.ELOOP):
		return -1, command.Errorf("write the path without links", "%q has a symbolic link in it", around)
	case errors.Is(err, unix.ENOENT):
		return -1, command.Errorf("make it first", "%q is not there", around)
	case err != nil:
		return -1, fmt.Errorf("opening %q: %w", around, err)
	}
	return parent, nil
}

// isFolder fails when base in parent is anything but a folder; with ENOENT when it is nothing.
func isFolder(parent int, base string) error {
	var st unix.Stat_t
	switch err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return errors.New("it is a symbolic link")
	}
	return errors.New("it is there and is not a folder")
}

// makeOwned makes base in parent with root's rights. Until it has its owner it has another name,
// so that a folder that is there is always whole.
func makeOwned(parent int, base string, owner account) error {
	var st unix.Stat_t
	if err := unix.Fstat(parent, &st); err != nil {
		return err
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		return fmt.Errorf("the folder around it belongs to neither the user nor root alone (uid %d, mode %v)", st.Uid, fs.FileMode(st.Mode&0o777))
	}
	temporary := "." + base + ".new"
	if err := unix.Mkdirat(parent, temporary, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := unix.Fchownat(parent, temporary, owner.uid, owner.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return errors.Join(err, unix.Unlinkat(parent, temporary, unix.AT_REMOVEDIR))
	}
	return unix.Renameat2(parent, temporary, parent, base, unix.RENAME_NOREPLACE)
}
