package graph

import (
	"strconv"

	"vmsilo/generator/machine"
)

// waylandDropin is the drop-in's name: by that of the drop-in of all services it would stand in that one's place, as
// systemd.unit(5) has it.
const waylandDropin = "50-vmsilo-wayland.conf"

// proxy returns the drop-in of what leads the VM to the compositor of its user.
func proxy(m *machine.Machine) File {
	d := newNamedDropin("vmsilo-proxy@"+m.Name+".service", waylandDropin)
	d.set("Service", "User", m.VM.User)
	d.env("Service", "PLAIN", strconv.FormatBool(m.Wayland == "plain"))
	return d.file()
}

// waypipe returns the drop-in of the host's end of waypipe, which is the same user's.
func waypipe(m *machine.Machine) File {
	d := newNamedDropin("vmsilo-waypipe@"+m.Name+".service", waylandDropin)
	d.set("Service", "User", m.VM.User)
	return d.file()
}
