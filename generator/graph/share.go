package graph

import (
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// share is a folder of the host that the guest mounts by its tag.
type share struct{ tag, source string }

// home is the tag of the share that is the guest's /home/user; it is made when it is not there.
const home = "home"

func shares(m *machine.Machine) []share {
	if m.SharedHome == "" {
		return nil
	}
	return []share{{home, m.SharedHome}}
}

func shareSocket(m *machine.Machine, s share, unit string) File {
	d := belongs(m, unit)
	d.set("Socket", "Slice", sliceName(m.Name))
	d.set("Socket", "SocketUser", m.User())
	d.env("Socket", "OBJECT_SYSTEMD_UNIT", vmUnit(m.Name))
	if s.tag == home {
		d.exec("Socket", "ExecStartPre", []string{paths.Helper("vmsilo-home"), "--owner=" + m.VM.User, s.source})
	}
	return d.file()
}

func shareService(m *machine.Machine, s share, unit string) File {
	d := newDropin(unit)
	// The VM's connection starts it, so that this orders the stop alone: the guest still writes while it shuts down.
	d.set("Unit", "Before", vmUnit(m.Name))
	d.set("Unit", "OnFailure", "vmsilo-lost@"+m.Name+".service")
	d.set("Service", "Slice", sliceName(m.Name))
	d.set("Service", "User", m.VM.User)
	d.set("Service", "BindPaths", quoteBind(s.source))
	d.env("Service", "VIRTIOFSD", paths.Virtiofsd)
	d.env("Service", "SOURCE", s.source)
	return d.file()
}
