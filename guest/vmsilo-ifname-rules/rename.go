package main

import (
	"errors"

	"vmsilo/guest/internal/cmdline"
)

// network is what rename needs of the kernel.
type network interface {
	// Devices gives the interfaces that stand for a device: not lo, not bridges or VLANs.
	Devices() ([]device, error)
	// Rename gives the interface another name. If that ends in "%d" the kernel puts the lowest free number there.
	// The name that the interface then has is put into d.
	Rename(d *device, name string) error
}

type device struct {
	Index     int
	Name, MAC string
}

// aside is the name of an interface between two names; no IFNAME starts like it. The kernel puts the lowest free number
// for %d.
const aside = "_vmsilo%d"

// rename gives each wanted interface its name. First all that have a wrong name, or a name that another one wants,
// step aside; then the names are free. Interfaces that are not there yet are left to the udev rules.
func rename(net network, wanted []cmdline.Interface) error {
	devices, err := net.Devices()
	if err != nil {
		return err
	}
	byMAC, taken := map[string]string{}, map[string]bool{}
	for _, w := range wanted {
		byMAC[w.MAC], taken[w.Name] = w.Name, true
	}
	var errs []error
	final := map[device]string{}
	for _, d := range devices {
		want := byMAC[d.MAC]
		if d.Name == want || want == "" && !taken[d.Name] {
			continue
		}
		if err := net.Rename(&d, aside); err != nil {
			errs = append(errs, err)
		} else if want != "" {
			final[d] = want
		}
	}
	for d, name := range final {
		errs = append(errs, net.Rename(&d, name))
	}
	return errors.Join(errs...)
}
