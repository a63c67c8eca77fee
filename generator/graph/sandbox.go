package graph

import (
	"vmsilo/generator/machine"
	"vmsilo/generator/vmm"
)

// sandbox lets the VMM reach what its machine has, beyond what units/vmsilo@.service lets every VMM. Each path may be
// missing: the commands of a stop, too, run with these settings as they are by then.
func sandbox(d *dropin, m *machine.Machine) {
	for _, s := range m.Shares {
		d.set("Service", "BindPaths", "-"+quoteBind(m.ShareSocket(s.Tag)))
	}
	if len(m.Interfaces) > 0 {
		// A TAP is found by its name in the network namespace that it is in, which is the host's.
		d.set("Service", "PrivateNetwork", "no")
		d.set("Service", "DeviceAllow", "/dev/net/tun rw")
		d.set("Service", "BindPaths", "-/dev/net/tun")
	}
	for _, setting := range vmm.ByName[m.Hypervisor].Sandbox(m) {
		d.set("Service", setting[0], setting[1])
	}
}
