package graph

import (
	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

func shareSocket(m *machine.Machine, s machine.Share, unit string) File {
	d := belongs(m, unit)
	d.set("Socket", "Slice", sliceName(m.Name))
	d.set("Socket", "SocketUser", m.User())
	d.env("Socket", "OBJECT_SYSTEMD_UNIT", vmUnit(m.Name))
	// The home is made when it is not there; any other folder has to be.
	how := "--existing"
	if s.Tag == config.HomeTag {
		how = "--template=" + paths.HomeTemplate
	}
	d.exec("Socket", "ExecStartPre", []string{paths.Helper("vmsilo-home"), "--owner=" + m.VM.User, how, "--record=" + m.ShareRecord(s.Tag), s.Source})
	return d.file()
}

func shareService(m *machine.Machine, s machine.Share, unit string) File {
	d := newDropin(unit)
	// The VM's connection starts it, so that this orders the stop alone: the guest still writes while it shuts down.
	d.set("Unit", "Before", vmUnit(m.Name))
	d.set("Unit", "OnFailure", "vmsilo-lost@"+m.Name+".service")
	d.set("Service", "Slice", sliceName(m.Name))
	d.set("Service", "User", m.VM.User)
	// It ends with the VMM, which has so long; after that it is killed.
	d.set("Service", "TimeoutStopSec", m.StopTimeout.Text)
	bind := "BindPaths"
	if s.ReadOnly {
		bind = "BindReadOnlyPaths"
	}
	d.set("Service", bind, quoteBind(s.Source))
	d.env("Service", "VIRTIOFSD", paths.Virtiofsd)
	d.env("Service", "SOURCE", s.Source)
	return d.file()
}
