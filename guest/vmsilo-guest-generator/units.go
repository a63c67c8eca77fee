package main

import (
	"fmt"

	"vmsilo/guest/internal/cmdline"
)

// unit is one unit to write or to pull in, or a drop-in.
type unit struct {
	// name may have the folder of a drop-in before it.
	name string
	// text is empty if the unit is a file of the image.
	text string
	// pulledInBy are folders like multi-user.target.wants.
	pulledInBy []string
}

// imageUnits is where the units of packages are.
const imageUnits = "/usr/lib/systemd/system/"

// initrdUnits are what the initrd needs beside its static units.
func initrdUnits(p cmdline.Params) []unit {
	switch p.Overlay {
	case cmdline.OverlayDisk:
		return []unit{{name: "run-vmsilo-overlay.mount", text: overlayDisk}}
	case cmdline.OverlayTmpfs:
		return []unit{{name: "run-vmsilo-overlay.mount", text: overlayTmpfs}}
	}
	return nil
}

// rootUnits are what the root needs beside its static units.
func rootUnits(p cmdline.Params) []unit {
	var units []unit
	if p.Home == cmdline.HomeVirtiofs {
		units = append(units, unit{name: "home-user.mount", text: homeVirtiofs, pulledInBy: []string{"local-fs.target.wants"}})
	}
	for _, s := range p.Shares {
		units = append(units, shareUnit(s))
	}
	// What nobody needs is not started: it would only cost time and memory.
	boot := []string{"multi-user.target.wants"}
	if len(p.Interfaces) > 0 {
		units = append(units, unit{name: "systemd-networkd.service", pulledInBy: boot})
	}
	if len(p.DNS) > 0 || p.Clients != "" {
		units = append(units, unit{name: "systemd-resolved.service", pulledInBy: boot})
	}
	if len(p.Interfaces) > 0 || len(p.DNS) > 0 {
		units = append(units, unit{name: "vmsilo-network.service", pulledInBy: boot})
	}
	if p.Clients != "" {
		// A netvm without its filter is not up.
		units = append(units, unit{name: "vmsilo-router.service", pulledInBy: append(boot, "vmsilo-ready.service.requires")})
	}
	return units
}

// shareUnit mounts one share. The boot wants it and goes on without it; READY requires it.
func shareUnit(s cmdline.Share) unit {
	mode := "rw"
	if s.ReadOnly {
		mode = "ro"
	}
	return unit{
		name:       s.Unit(),
		text:       fmt.Sprintf(shareVirtiofs, s.Tag, s.Target, mode),
		pulledInBy: []string{"local-fs.target.wants", "vmsilo-ready.service.requires"},
	}
}

const overlayDisk = `# Written by vmsilo-guest-generator for vmsilo.overlay=qcow2
[Unit]
Description=Writable layer of the root, on the ephemeral disk
DefaultDependencies=no
# The disk comes empty, and what a former boot left on it is not wanted: never mounted without having been formatted.
Requires=vmsilo-overlay-format.service
After=vmsilo-overlay-format.service

[Mount]
What=/dev/disk/by-id/virtio-vmsilo-overlay
Where=/run/vmsilo/overlay
Type=ext4
# discard: freed blocks return to the host. noinit_itable: the kernel would fill the sparse disk with zeros.
Options=discard,noinit_itable,noatime
`

const overlayTmpfs = `# Written by vmsilo-guest-generator for vmsilo.overlay=tmpfs
[Unit]
Description=Writable layer of the root, in memory
DefaultDependencies=no

[Mount]
What=tmpfs
Where=/run/vmsilo/overlay
Type=tmpfs
# Half of the memory at most: the default.
Options=mode=0755
`

const homeVirtiofs = `# Written by vmsilo-guest-generator for vmsilo.home=virtiofs
[Unit]
Description=Home directory, shared with the host
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target
# Logins and the user's services find the shared home, and not the empty folder below it. Wanted and not required: if
# the share does not come, the VM is not ready, but its console still works.
Before=local-fs.target

[Mount]
What=home
Where=/home/user
Type=virtiofs
# The host's user can write here too, so nothing of it may give rights in the guest.
Options=nosuid,nodev
# The host answers at once or not at all.
TimeoutSec=20
`

const shareVirtiofs = `# Written by vmsilo-guest-generator for vmsilo.share
[Unit]
Description=Folder %[1]s, shared with the host
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target
# Before any login or service, as with the home.
Before=local-fs.target

[Mount]
What=%[1]s
Where=%[2]s
Type=virtiofs
# The host's user can write here too, so nothing of it may give rights in the guest.
Options=%[3]s,nosuid,nodev
# The host answers at once or not at all.
TimeoutSec=20
`
