// Vmsilo-home makes the folder that a VM's user has as home, or looks whether another shared folder is there.
//
// Synopsis:
//
//	vmsilo-home --owner=USER [--template=PATH] [--record=PATH] FOLDER
//	vmsilo-home --owner=USER --existing [--record=PATH] FOLDER
//
// Description:
//
// A folder that is there already is left as it is, whoever owns it. A missing one is made with mode 0700,
// owned by USER, a name or a uid, and that user's group, and holds what the template holds. It gets its name when it is
// whole. The folder around it must be there. No symbolic link is followed on the way. The folder is made with USER's
// rights where USER may do that, and else with root's, for which the folder around it must be root's alone: nobody can
// change it meanwhile. It is filled with USER's rights in any case.
//
// Options:
//
//	--owner     the user who gets the folder, with whose rights it is looked for
//	--existing  the folder has to be there, with no symbolic link on the way, and nothing is made
//	--template  a folder whose files, folders and symbolic links a new home begins with; one that is not there is empty
//	--record    a file to write, which says what folder it is: vmsilo-share shares no other one
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/identity"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-home", flag.ContinueOnError)
	name := flags.String("owner", "", "the user who gets the folder")
	existing := flags.Bool("existing", false, "make nothing")
	recordPath := flags.String("record", "", "a file that says what folder it is")
	template := flags.String("template", "", "what a new home begins with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || !filepath.IsAbs(flags.Arg(0)) {
		return fmt.Errorf("want one absolute path, got %q", flags.Args())
	}
	folder := filepath.Clean(flags.Arg(0))
	owner, err := lookUp(*name)
	if err != nil {
		return err
	}
	// For account.do.
	runtime.LockOSThread()
	if *existing {
		err = lookAt(folder, owner)
	} else if err := makeHome(folder, *template, owner); err != nil {
		return fmt.Errorf("making the shared home %q: %w", folder, err)
	}
	if err == nil && *recordPath != "" {
		err = record(*recordPath, folder, owner)
	}
	if err != nil {
		return fmt.Errorf("sharing %q: %w", folder, err)
	}
	return nil
}

// lookAt fails when folder is not there.
func lookAt(folder string, owner account) error {
	parent, err := openParent(folder, owner)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	err = isFolder(parent, filepath.Base(folder), owner)
	if errors.Is(err, unix.ENOENT) {
		return command.Errorf("make it first", "it is not there")
	}
	return err
}

// record writes which folder it is that has the path now. systemd follows the path again when it shares the folder, with
// root's rights, and somebody who can write to the folder around it may have put a link there by then.
func record(path, folder string, owner account) error {
	parent, err := openParent(folder, owner)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	var st unix.Stat_t
	err = owner.either(func() error {
		return unix.Fstatat(parent, filepath.Base(folder), &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, identity.Of(&st), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// openParent opens the folder around another.
func openParent(folder string, owner account) (parent int, err error) {
	around := filepath.Dir(folder)
	err = owner.either(func() (err error) {
		parent, err = unix.Openat2(unix.AT_FDCWD, around, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_NO_SYMLINKS,
		})
		return err
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
func isFolder(parent int, base string, owner account) error {
	var st unix.Stat_t
	look := func() error { return unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW) }
	switch err := owner.either(look); {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return errors.New("it is a symbolic link")
	}
	return errors.New("it is there and is not a folder")
}
