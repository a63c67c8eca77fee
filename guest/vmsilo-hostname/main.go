// Vmsilo-hostname writes the VM's name to the root's /etc/hostname.
//
// Synopsis:
//
//	vmsilo-hostname ROOT
//
// It runs in the initrd, when the root is mounted on ROOT and nothing of it runs yet: systemd reads the
// file right after it has switched to that root. The name is vmsilo.name of the kernel command line. Without one,
// nothing is written. ROOT/etc has to be a directory; neither it nor ROOT/etc/hostname is followed if it is a symlink.
package main

import (
	"fmt"
	"path/filepath"

	"vmsilo/guest/internal/atomicfile"
	"vmsilo/guest/internal/cmdline"
	"vmsilo/internal/command"
)

func main() {
	command.Main(func(args []string) error { return run(cmdline.Load, args...) })
}

func run(load func() (cmdline.Params, error), args ...string) error {
	if len(args) != 1 {
		return fmt.Errorf("takes the folder of the root, not %q", args)
	}
	params, err := load()
	if err != nil || params.Name == "" {
		return err
	}
	return atomicfile.Write(filepath.Join(args[0], "etc"), "hostname", []byte(params.Name+"\n"), 0o644)
}
