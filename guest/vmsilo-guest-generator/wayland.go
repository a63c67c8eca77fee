package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vmsilo/guest/internal/cmdline"
)

// programFolders are where the image may have a Wayland proxy: where the units of proxies look for them, too.
var programFolders = []string{"/usr/local/bin", "/usr/bin"}

// waylandUnits tell the user's programs where the proxy listens, which are those that vmsilo-agent starts and those of the
// user's service manager. waypipe is a unit of the system's; the other proxies are units of that manager, each of which looks
// at the command line. An image without the proxy has a problem, and boots all the same.
func waylandUnits(p cmdline.Params, programs []string) ([]unit, []*cmdline.ParamError) {
	if p.WaylandProxy == "" || p.WaylandProxy == "none" {
		return nil, nil
	}
	if !installed(p.WaylandProxy, programs) {
		return nil, []*cmdline.ParamError{{
			Param: "vmsilo.wayland_proxy",
			Err: fmt.Errorf("there is no %s in %s of this image: programs of this VM have no windows",
				p.WaylandProxy, strings.Join(programFolders, " or ")),
		}}
	}
	if p.WaylandProxy == "waypipe" {
		server := unit{name: "vmsilo-waypipe-server.service", pulledInBy: []string{"multi-user.target.wants"}}
		return append(displayOf(waypipeDisplay), server), nil
	}
	return displayOf(fmt.Sprintf(sessionDisplay, p.WaylandProxy)), nil
}

// displayOf returns the drop-ins of what starts the user's programs.
func displayOf(text string) []unit {
	const file = ".service.d/50-vmsilo-wayland.conf"
	return []unit{{name: "vmsilo-agent" + file, text: text}, {name: "user@" + file, text: text}}
}

func installed(program string, folders []string) bool {
	for _, folder := range folders {
		if info, err := os.Stat(filepath.Join(folder, program)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// waypipeDisplay has programs wait until waypipe listens, or has failed to. It has no X server.
const waypipeDisplay = `# Written by vmsilo-guest-generator for vmsilo.wayland_proxy=waypipe
[Unit]
After=vmsilo-waypipe-server.service

[Service]
Environment=WAYLAND_DISPLAY=/run/vmsilo-wayland/wayland-0
`

const sessionDisplay = `# Written by vmsilo-guest-generator for vmsilo.wayland_proxy=%s
[Service]
Environment=WAYLAND_DISPLAY=wayland-0
Environment=DISPLAY=:0
`
