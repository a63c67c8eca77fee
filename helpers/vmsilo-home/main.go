// Vmsilo-home makes the folder that a VM's user has as home, and looks whether its other shared folders are there.
//
// Synopsis:
//
//	vmsilo-home --owner=USER [--records=PATH] [--template=PATH] [--home=TAG=FOLDER] [--existing=TAG=FOLDER]…
//
// Description:
//
// A folder that is there already is left as it is, whoever owns it. A missing home is made with mode 0700,
// owned by USER, a name or a uid, and that user's group, and holds what the template holds. It gets its name when it is
// whole. The folder around it must be there. No symbolic link is followed on the way. The folder is made with USER's
// rights where USER may do that, and else with root's, for which the folder around it must be root's alone: nobody can
// change it meanwhile. It is filled with USER's rights in any case.
//
// One process sees to all folders of a VM, since being shut in takes it longer than what it does. Each folder that is
// wrong is told.
//
// Options:
//
//	--owner     the user who gets the folder, with whose rights the folders are looked for
//	--records   a folder for one file a folder, named TAG, which says what folder it is: vmsilo-share shares no other one
//	--template  a folder whose files, folders and symbolic links a new home begins with; one that is not there is empty
//	--home      the home, and the tag under which the guest finds it
//	--existing  a folder that has to be there, with no symbolic link on the way; nothing is made
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/identity"
)

func main() { command.Main(run) }

// share is a folder, and the tag under which the guest finds it.
type share struct {
	tag, folder string
	// home is made when it is not there.
	home bool
}

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-home", flag.ContinueOnError)
	name := flags.String("owner", "", "the user who gets the folder")
	records := flags.String("records", "", "where to write what folders they are")
	template := flags.String("template", "", "what a new home begins with")
	var shares []share
	option := func(name, usage string, home bool) {
		flags.Func(name, usage, func(arg string) error {
			tag, folder, _ := strings.Cut(arg, "=")
			if tag == "" || !filepath.IsAbs(folder) {
				return errors.New("want TAG=FOLDER, which is an absolute path")
			}
			shares = append(shares, share{tag, filepath.Clean(folder), home})
			return nil
		})
	}
	option("home", "the home", true)
	option("existing", "a folder that has to be there", false)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 0 {
		return fmt.Errorf("want options alone, got %q", flags.Args())
	}
	if len(shares) == 0 {
		return nil
	}
	owner, err := lookUp(*name)
	if err != nil {
		return err
	}
	// For account.do.
	runtime.LockOSThread()
	var errs []error
	for _, s := range shares {
		errs = append(errs, s.prepare(*records, *template, owner))
	}
	return errors.Join(errs...)
}

// prepare makes the folder or looks for it, and records it where records is given.
func (s share) prepare(records, template string, owner account) (err error) {
	if !s.home {
		err = lookAt(s.folder, owner)
	} else if err := makeHome(s.folder, template, owner); err != nil {
		return fmt.Errorf("making the shared home %q: %w", s.folder, err)
	}
	if err == nil && records != "" {
		err = record(filepath.Join(records, s.tag), s.folder, owner)
	}
	if err != nil {
		return fmt.Errorf("sharing %q: %w", s.folder, err)
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
	if err := os.WriteFile(temporary, identity.Of(&st), 0o600); err != nil {
		return err
	}
	// The user's virtiofsd reads it.
	if err := os.Chmod(temporary, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// openParent opens the folder around another.
func openParent(folder string, owner account) (parent int, err error) {
	around := filepath.Dir(folder)
	err = owner.either(func() (err error) {
		parent, err = openWithoutLinks(around)
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

// openWithoutLinks opens a folder by an absolute path, and fails with ELOOP where a symbolic link is on the way. It goes step by
// step, as RestrictSUIDSGID= allows no openat2(2).
func openWithoutLinks(path string) (int, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' }) {
		if err != nil {
			break
		}
		around := at
		at, err = unix.Openat(around, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		var st unix.Stat_t
		if err == unix.ENOTDIR && unix.Fstatat(around, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			err = unix.ELOOP
		}
		_ = unix.Close(around)
	}
	return at, err
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
