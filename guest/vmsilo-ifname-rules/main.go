// Vmsilo-ifname-rules gives the VM's interfaces the names of the configuration.
//
// Synopsis:
//
//	vmsilo-ifname-rules
//
// It runs in the initrd before systemd-udevd. For each vmsilo.ifname=IFNAME,MAC of the kernel command line it writes a
// rule to /run/udev/rules.d/70-vmsilo-ifname.rules; the file stays for the udevd of the root. It then renames the
// interfaces that are there already.
//
// The rules alone would do for most names. But udevd renames interfaces one by one, and a name that another interface
// still has is refused: the exchange of eth0 and eth1 never succeeds. Before udevd runs nobody else gives names, so
// that all of them can step aside first. For udevd the names are then already right.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"vmsilo/guest/internal/atomicfile"
	"vmsilo/guest/internal/cmdline"
	"vmsilo/internal/command"
)

const (
	rulesDir  = "/run/udev/rules.d"
	rulesFile = "70-vmsilo-ifname.rules"
)

func main() {
	command.Main(func([]string) error { return run(cmdline.Load, kernel{}, rulesDir) })
}

// run does all that it can, also after an error.
func run(load func() (cmdline.Params, error), net network, dir string) error {
	params, err := load()
	if err != nil || len(params.Interfaces) == 0 {
		return err
	}
	errs := []error{os.MkdirAll(dir, 0o755)}
	errs = append(errs, atomicfile.Write(dir, rulesFile, []byte(rules(params.Interfaces)), 0o644))
	errs = append(errs, rename(net, params.Interfaces))
	return errors.Join(errs...)
}

// rules is the text of the udev rules. A VLAN or a macvlan has the MAC of the interface below it but no driver, and
// keeps its name.
func rules(interfaces []cmdline.Interface) string {
	var text strings.Builder
	text.WriteString("# Written by vmsilo-ifname-rules from the kernel command line\n")
	for _, i := range interfaces {
		fmt.Fprintf(&text, "SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{type}==\"1\", ATTR{address}==\"%s\", "+
			"DRIVERS==\"?*\", NAME=\"%s\"\n", i.MAC, i.Name)
	}
	return text.String()
}
