// Vmsilo-user makes a VM's own user known to the system, and unknown again.
//
// Synopsis:
//
//	vmsilo-user add --vm=NAME --uid=UID [--folder=PATH] [--file=WHAT=PATH]… [--programs=PACKAGE=PROGRAM…]
//	            [--huge-pages=N] [--started=PATH --config=FINGERPRINT]
//	vmsilo-user add --vm=NAME --refusal=TEXT
//	vmsilo-user add --vm=NAME --vms=NAMES
//	vmsilo-user remove --vm=NAME
//
// Description:
//
// The user vmsilo-NAME and its group of the same number are static records in /run/userdb: nss-systemd(8)
// and User= find them there, and no file of /etc changes. Both commands are idempotent.
//
// It is the first of a VM's programs to run, and so looks first whether the VM can start at all: it fails with the
// refusal that it is given, or with the names of the VMs that there are when it is given no uid either. It fails, too,
// when a file is not a regular file or a block device, when a program cannot be found, or when there are too few huge pages
// for the guest's memory, and names all of them at once. Files are looked at and never opened: a FIFO in the place of a kernel does not hold it up. What the VM is started
// with is noted, so that it can be told later that the configuration or the image is another by then: internal/started.
// A uid that is still another VM's, which was started before the configuration gave its id away, is not given to this one.
//
// Options:
//
// An empty value is none, so that one command line serves every VM.
//
//	--vm          the VM
//	--uid         the user's uid and gid
//	--folder      a folder to make, which only the user can enter; its parent must be root's alone
//	--file        a file, and what it is to the VM
//	--started     where to note what the VM is started with
//	--config      the fingerprint of the VM's units
//	--huge-pages  how many pages of 2 MiB the VM takes of those that the host has set apart
//	--programs    programs, each by its path or to be found in PATH, after the package that brings it; between blanks
//	--refusal     why the VM cannot start, in one or more lines
//	--vms         the VMs that are configured
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vmsilo/internal/command"
	"vmsilo/internal/started"
)

// userdb is where systemd looks for records that last until the next boot: nss-systemd(8), "Static records".
const userdb = "/run/userdb"

func main() {
	command.Main(func(args []string) error { return run(userdb, args) })
}

// record is the part of a user's or a group's record that a system user has: https://systemd.io/USER_RECORD/
type record struct {
	UserName    string `json:"userName,omitempty"`
	GroupName   string `json:"groupName,omitempty"`
	UID         *int   `json:"uid,omitempty"`
	GID         int    `json:"gid"`
	Disposition string `json:"disposition"`
	HomeDir     string `json:"homeDirectory,omitempty"`
	Shell       string `json:"shell,omitempty"`
	Locked      bool   `json:"locked,omitempty"`
}

func run(folder string, args []string) error {
	if len(args) == 0 || (args[0] != "add" && args[0] != "remove") {
		return fmt.Errorf("want add or remove, got %q", args)
	}
	flags := flag.NewFlagSet("vmsilo-user", flag.ContinueOnError)
	vm := flags.String("vm", "", "the VM")
	uidText := flags.String("uid", "", "the user's uid and gid")
	folderPath := flags.String("folder", "", "a folder to make for the user")
	refusal := flags.String("refusal", "", "why the VM cannot start")
	vms := flags.String("vms", "", "the VMs that are configured")
	noted := flags.String("started", "", "where to note what the VM is started with")
	config := flags.String("config", "", "the fingerprint of the VM's units")
	needed := needs{states: map[string]string{}}
	needed.register(flags)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	name := "vmsilo-" + *vm
	if args[0] == "remove" {
		return remove(folder, name)
	}
	switch {
	case *refusal != "":
		return errors.New(*refusal)
	case *uidText == "":
		return unknown(*vm, *vms)
	}
	if err := needed.err(*vm); err != nil {
		return err
	}
	uid, err := strconv.Atoi(*uidText)
	if err != nil || uid <= 0 {
		return fmt.Errorf("adding user %q: %q is no uid for it", name, *uidText)
	}
	if err := add(folder, name, uid); err != nil {
		return fmt.Errorf("adding user %q: %w", name, err)
	}
	if *folderPath != "" {
		err = makeFolder(*folderPath, uid)
	}
	if err == nil && *noted != "" {
		err = started.Record{Config: *config, Files: needed.states}.Write(*noted)
	}
	return err
}

// unknown returns the error for a VM that is not configured, while others may be.
func unknown(vm, others string) error {
	if others == "" {
		return fmt.Errorf("no VM is named %s; none is configured", vm)
	}
	return fmt.Errorf("no VM is named %s; there are: %s", vm, others)
}

// makeFolder makes a folder for uid and its group alone, or takes what an earlier run left. Nobody but root writes to the
// folder around it, so that it is this one that is given away.
func makeFolder(path string, uid int) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	// Root's while the mode changes: who may change that of others' files is the owner, or has one capability more.
	if err := errors.Join(err, os.Lchown(path, 0, 0), os.Chmod(path, 0o700), os.Lchown(path, uid, uid)); err != nil {
		return fmt.Errorf("making a folder for uid %d: %w", uid, err)
	}
	return nil
}

func add(folder, name string, uid int) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	id := strconv.Itoa(uid)
	if vm := ownerOf(folder, id); vm != "" && "vmsilo-"+vm != name {
		return command.Errorf(fmt.Sprintf("systemctl stop vmsilo@%s, which runs with an id that it had before", vm),
			"uid %d is still that of VM %q", uid, vm)
	}
	user := record{
		UserName: name, UID: &uid, GID: uid, Disposition: "system",
		HomeDir: "/", Shell: "/usr/sbin/nologin", Locked: true,
	}
	group := record{GroupName: name, GID: uid, Disposition: "system"}
	return errors.Join(
		write(folder, name+".user", user), link(folder, name+".user", id+".user"),
		write(folder, name+".group", group), link(folder, name+".group", id+".group"),
	)
}

// ownerOf returns the VM whose user has the uid, or "". What a clean-up that was killed has left is a link without a record.
func ownerOf(folder, id string) string {
	target, err := os.Readlink(filepath.Join(folder, id+".user"))
	if err != nil {
		return ""
	}
	if _, err := os.Lstat(filepath.Join(folder, target)); err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(target, "vmsilo-"), ".user")
}

// write replaces a record in one step: readers see the old one or the new one.
func write(folder, file string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	temporary := filepath.Join(folder, "."+file+".tmp")
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(folder, file))
}

// link makes the record found by its number, too.
func link(folder, file, byID string) error {
	path := filepath.Join(folder, byID)
	if target, err := os.Readlink(path); err == nil && target == file {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(file, path)
}

// remove takes away what add made for name, found by the links and not by what the configuration says now.
func remove(folder, name string) error {
	var errs []error
	for _, kind := range []string{".user", ".group"} {
		links, err := filepath.Glob(filepath.Join(folder, "[0-9]*"+kind))
		errs = append(errs, err)
		for _, l := range links {
			if target, err := os.Readlink(l); err == nil && target == name+kind {
				errs = append(errs, os.Remove(l))
			}
		}
		if err := os.Remove(filepath.Join(folder, name+kind)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
