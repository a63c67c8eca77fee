// Vmsilo-guest-generator writes the units that depend on the kernel command line.
//
// Synopsis:
//
//	vmsilo-guest-generator NORMAL EARLY LATE
//
// It is a systemd.generator(7). In the initrd, which it knows by /etc/initrd-release, it writes
// run-vmsilo-overlay.mount: the file system that takes the writes to the root, on the disk or in memory as
// vmsilo.overlay says. In the root it writes home-user.mount if vmsilo.home is virtiofs and a mount unit for each
// vmsilo.share, and pulls in what sets up the network if there is an interface, and what forwards if one is to clients. If
// vmsilo.wayland_proxy names a program that is there, the user's programs are told where it will listen. All other units are the same for every
// VM and are files of the image.
//
// A malformed parameter has no unit. It is reported once a boot: in the initrd, or where systemd does not run there in the
// root, by the first run that finds no mark of another. So is a proxy that the image has not. Without
// run-vmsilo-overlay.mount the root cannot be mounted, and the boot stops: there is no default to fall back to.
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
	if err := run(cmdline.Load, report, initrdRelease, reportedMark, programFolders, os.Args[1:]...); err != nil {
		report(err)
		os.Exit(1)
	}
}

// initrdRelease is there in an initrd and nowhere else, see os-release(5).
const initrdRelease = "/etc/initrd-release"

// reportedMark is there when the command line has been reported; /run outlives the initrd.
const reportedMark = "/run/vmsilo/reported"

// report writes to the kernel log, and so to the console also when the command line says quiet: the standard error of a
// generator may go nowhere, and the journal is not there yet.
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

func run(load func() (cmdline.Params, error), report func(error), initrdMark, reportedMark string, programs []string, args ...string) error {
	if len(args) != 3 {
		return fmt.Errorf("takes 3 directories, not %d arguments; see systemd.generator(7)", len(args))
	}
	params, err := load()
	if err != nil {
		return err
	}
	_, err = os.Stat(initrdMark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var units []unit
	errs := []error{reportOnce(params.Malformed, report, reportedMark)}
	if err == nil {
		units = initrdUnits(params)
	} else {
		wayland, missing := waylandUnits(params, programs)
		errs = append(errs, reportOnce(missing, report, reportedMark+"-root"))
		units = append(rootUnits(params), wayland...)
	}
	for _, u := range units {
		errs = append(errs, u.write(args[0]))
	}
	return errors.Join(errs...)
}

func reportOnce(problems []*cmdline.ParamError, report func(error), mark string) error {
	if err := os.MkdirAll(filepath.Dir(mark), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, p := range problems {
		report(p)
	}
	return file.Close()
}

// write puts the unit into dir, unless it is a file of the image, and a symlink to it for each unit that pulls it in.
func (u unit) write(dir string) error {
	target := imageUnits + u.name
	if u.text != "" {
		target = "../" + u.name
		folder, file := filepath.Split(filepath.Join(dir, u.name))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := atomicfile.Write(folder, file, []byte(u.text), 0o644); err != nil {
			return err
		}
	}
	for _, by := range u.pulledInBy {
		by = filepath.Join(dir, by)
		if err := os.MkdirAll(by, 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, filepath.Join(by, u.name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
