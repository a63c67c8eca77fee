// Package paths names every file of the host that vmsilo's programs and units agree on.
package paths

import "path/filepath"

// Where vmsilo is installed and where its state lives.
const (
	// Libexec holds the helpers that units start.
	Libexec = "/usr/libexec/vmsilo"
	// State holds one folder per VM, and images.
	State = "/var/lib/vmsilo"
	// Images holds one folder per guest image.
	Images = State + "/images"
	// HomeTemplate is what a new home begins with, when it is there.
	HomeTemplate = State + "/home-template"
	// Shared holds the homes that are shared with VMs, one folder per VM.
	Shared = "/shared"
	// Recipes holds what images can be made of.
	Recipes = "/usr/share/vmsilo/recipes"
	// ImageHooks holds what the building of an image runs.
	ImageHooks = Libexec + "/image"
	// Runtime holds one folder per VM that runs.
	Runtime = "/run/vmsilo"
	// OnDemand holds a mark for each VM that was started on demand. No VM's name begins with a dot.
	OnDemand = Runtime + "/.on-demand"
	// NetVMs holds a mark for each netvm that was started for its clients.
	NetVMs = Runtime + "/.netvm"
	// Demand is the socket where VMs are asked for: units/vmsilo-demand.socket.
	Demand = "/run/vmsilo.demand"
	// Generated is where systemd keeps what generators have made at the last daemon-reload: systemd.generator(7).
	Generated = "/run/systemd/generator"
)

// The build sets these with -ldflags -X. All but the first differ between distributions.
var (
	// Version is vmsilo's.
	Version = "unknown"
	// Virtiofsd is the Rust virtiofsd, which is on no distribution's PATH.
	Virtiofsd = "/usr/libexec/virtiofsd"
	// Units is the folder of the installed unit templates.
	Units = "/usr/lib/systemd/system"
	// Generator is the installed vmsilo-generator.
	Generator = "/usr/lib/systemd/system-generators/vmsilo-generator"
)

// Helper returns the path of the helper named name.
func Helper(name string) string { return filepath.Join(Libexec, name) }
