// Vmsilo-hostname writes the VM's name to the root's /etc/hostname.
//
// Synopsis:
//
//	vmsilo-hostname [ROOT]
//
// It runs in the initrd, when the root is mounted on ROOT (/sysroot) and nothing of it runs yet: systemd reads the
// file right after it has switched to that root. The name is vmsilo.name of the kernel command line. Without one,
// nothing is written. ROOT/etc has to be a directory; neither it nor ROOT/etc/hostname is followed if it is a symlink.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"vmsilo/guest/internal/atomicfile"
	"vmsilo/guest/internal/cmdline"
)

func main() {
	if err := run(cmdline.Load, os.Args[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, "vmsilo-hostname: error:", err)
		os.Exit(1)
	}
}

// run acts on the parameters that load gives. Malformed ones are no business of this command unless the name is.
func run(load func() (cmdline.Params, error), args ...string) error {
	root := "/sysroot"
	switch len(args) {
	case 0:
	case 1:
		root = args[0]
	default:
		return fmt.Errorf("takes one argument at most, not %d", len(args))
	}
	params, err := load()
	if params.Name == "" {
		return err
	}
	return atomicfile.Write(filepath.Join(root, "etc"), "hostname", []byte(params.Name+"\n"), 0o644)
}
