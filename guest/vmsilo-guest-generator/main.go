// Vmsilo-guest-generator writes the mount units that depend on the kernel command line.
//
// Synopsis:
//
//	vmsilo-guest-generator NORMAL EARLY LATE
//
// It is a systemd.generator(7). In the initrd, which it knows by /etc/initrd-release, it writes
// run-vmsilo-overlay.mount: the file system that takes the writes to the root, on the disk or in memory as
// vmsilo.overlay says. In the root it writes home-user.mount if vmsilo.home is virtiofs. All other units are the same
// for every VM and are files of the image.
//
// A malformed parameter is reported and has no unit. Without run-vmsilo-overlay.mount the root cannot be mounted, and
// the boot stops: there is no default to fall back to.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vmsilo/guest/internal/atomicfile"
	"vmsilo/guest/internal/cmdline"
)

func main() {
	if err := run(cmdline.Load, initrdRelease, os.Args[1:]...); err != nil {
		report(err)
		os.Exit(1)
	}
}

// initrdRelease is there in an initrd and nowhere else, see os-release(5).
const initrdRelease = "/etc/initrd-release"

// report writes to the kernel log: the standard error of a generator may go nowhere, and the journal is not there yet.
func report(err error) {
	message := fmt.Sprintf("vmsilo-guest-generator: error: %v\n", err)
	if kmsg, openErr := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); openErr == nil {
		defer kmsg.Close()
		if _, writeErr := kmsg.WriteString("<3>" + message); writeErr == nil {
			return
		}
	}
	os.Stderr.WriteString(message)
}

func run(load func() (cmdline.Params, error), initrdMark string, args ...string) error {
	if len(args) != 3 {
		return fmt.Errorf("takes 3 directories, not %d arguments; see systemd.generator(7)", len(args))
	}
	params, parseErr := load()
	_, err := os.Stat(initrdMark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var units []unit
	if err == nil {
		units = initrdUnits(params)
	} else {
		units = rootUnits(params)
	}
	errs := []error{parseErr}
	for _, u := range units {
		errs = append(errs, u.write(args[0]))
	}
	return errors.Join(errs...)
}

// write puts the unit into dir, and a symlink to it for each of its WantedBy units.
func (u unit) write(dir string) error {
	if err := atomicfile.Write(dir, u.name, []byte(u.text), 0o644); err != nil {
		return err
	}
	for _, by := range u.wantedBy {
		wants := filepath.Join(dir, by+".wants")
		if err := os.MkdirAll(wants, 0o755); err != nil {
			return err
		}
		link := filepath.Join(wants, u.name)
		if err := os.Symlink("../"+u.name, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
