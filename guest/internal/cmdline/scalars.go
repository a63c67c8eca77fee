package cmdline

import (
	"fmt"
	"slices"
	"strings"
)

func setName(p *Params, value string) error {
	if !ValidName(value) {
		return fmt.Errorf("%q is not a VM's name", value)
	}
	p.Name = value
	return nil
}

func setOverlay(p *Params, value string) error {
	return oneOf(&p.Overlay, value, OverlayDisk, OverlayTmpfs)
}

func setHome(p *Params, value string) error {
	return oneOf(&p.Home, value, HomeVirtiofs, HomeNone)
}

func setWaylandProxy(p *Params, value string) error {
	return oneOf(&p.WaylandProxy, value, "wayland-proxy-virtwl", "sommelier", "waypipe", "none")
}

func oneOf(field *string, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(allowed, ", "))
	}
	*field = value
	return nil
}
