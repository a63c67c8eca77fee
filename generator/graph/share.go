package graph

import (
	"path/filepath"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
	"vmsilo/vmm/known"
)

// folders returns the options of vmsilo-home for the folders of m, as a variable holds them that systemd splits into words:
// "quotes are respected", systemd.service(5), and a backslash before one takes that away.
func folders(m *machine.Machine) string {
	var words []string
	for _, s := range m.Shares {
		// The home is made when it is not there; any other folder has to be.
		how := "--existing="
		if s.Tag == config.HomeTag {
			how = "--home="
		}
		words = append(words, `"`+inQuotes.Replace(how+s.Tag+"="+s.Source)+`"`)
	}
	return strings.Join(words, " ")
}

var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// homes lets vmsilo-home make m's home where that is not in the folder of homes.
func homes(m *machine.Machine) []File {
	for _, s := range m.Shares {
		if around := filepath.Dir(s.Source); s.Tag == config.HomeTag && around != paths.Shared {
			d := newNamedDropin("vmsilo-home@"+m.Name+".service", "50-vmsilo-home.conf")
			d.set("Service", "ReadWritePaths", quote("-"+around))
			return []File{d.file()}
		}
	}
	return nil
}

func shareSocket(m *machine.Machine, s machine.Share, unit string) File {
	d := belongs(m, unit)
	d.set("Socket", "Slice", sliceName(m.Name))
	d.set("Socket", "SocketUser", m.User())
	return d.file()
}

func shareService(m *machine.Machine, s machine.Share, unit string) File {
	d := newDropin(unit)
	// The VM's connection starts it, so that this orders the stop alone: the guest still writes while it shuts down.
	d.set("Unit", "Before", vmUnit(m.Name))
	// But for a restart of the VM, which starts what ran anew as well: not before it is known which folder it is.
	d.set("Unit", "After", "vmsilo-home@"+m.Name+".service")
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
	// Under the name that the template's command has, in which the drop-in could be missing.
	d.set("Service", "BindReadOnlyPaths", "-"+quoteBind(m.ShareRecord(s.Tag))+":"+quoteBind(filepath.Join(paths.Runtime, m.Name+":"+s.Tag+".share")))
	d.env("Service", "VIRTIOFSD", paths.Virtiofsd)
	d.env("Service", "SOURCE", s.Source)
	if known.VMM(m).AsksTag {
		d.env("Service", "TAG", s.Tag)
	}
	return d.file()
}
