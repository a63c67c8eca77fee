// Vmsilo-pci hands PCI devices of the host to vfio-pci for a VM, and gives them back to the drivers that they had.
//
// Synopsis:
//
//	vmsilo-pci take --uid=UID --devices=ADDRESS… RECORD
//	vmsilo-pci give RECORD
//
// Description:
//
// take looks at every device first, and changes nothing where one cannot be had: it has to be there and no bridge, no mounted
// file system and no swap of the host may be on a disk behind it, nobody else may have such a disk for himself, and in its IOMMU group there may be nothing but bridges and
// other devices of the same VM. Then it takes the devices from their drivers, has vfio-pci have them, and lets UID open
// their groups in /dev/vfio, by an access control list. What it does is written to the file RECORD first. The other files of
// its folder are the records of other VMs, whose devices are not taken.
//
// give undoes what the record says, and removes it; without a record there is nothing to do. A device that has gone is none's.
// take begins with the same, should an earlier run have left a record.
//
// It writes files of sysfs that are root's, and needs no capability. Their contents are those of
// Documentation/ABI/testing/sysfs-bus-pci of Linux.
//
// Options:
//
//	--uid      the user who may open the devices
//	--devices  addresses as lspci -D prints them, between blanks
package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"vmsilo/internal/command"
)

func main() {
	// Of the mounts a unit may see fewer than PID 1.
	h := host{sys: "/sys", dev: "/dev", mounts: "/proc/1/mountinfo", swaps: "/proc/swaps"}
	command.Main(func(args []string) error { return run(h, args) })
}

func run(h host, args []string) error {
	if len(args) == 0 || args[0] != "take" && args[0] != "give" {
		return fmt.Errorf("want take or give, got %q", args)
	}
	flags := flag.NewFlagSet("vmsilo-pci", flag.ContinueOnError)
	uid := flags.Int("uid", 0, "the user who may open the devices")
	list := flags.String("devices", "", "addresses of devices")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one record, got %q", flags.Args())
	}
	path, addresses := flags.Arg(0), strings.Fields(*list)
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	if args[0] == "give" {
		return h.give(path)
	}
	if *uid <= 0 || len(addresses) == 0 {
		return fmt.Errorf("want a user and devices, got %d and %q", *uid, addresses)
	}
	if err := h.take(path, *uid, addresses); err != nil {
		return errors.Join(err, h.give(path))
	}
	return nil
}
