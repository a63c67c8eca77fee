package machine

import "fmt"

// PCI is the place of a device on bus 0: the number of a PCI device, and a function of it.
type PCI struct{ Slot, Function int }

// Places that are the same in every VM and under every VMM; docs/pci.md has the whole map. 0x00 is the board's, and 0x1f QEMU's
// board's. Interfaces begin at 0x10 and everything else stays below, so that adding a disk or a share moves no interface.
var (
	AtPanic   = PCI{0x01, 0}
	AtRoot    = PCI{0x02, 0}
	AtOverlay = PCI{0x03, 0}
	AtHome    = PCI{0x04, 0}
	AtVsock   = PCI{0x05, 0}
	AtRNG     = PCI{0x06, 0}
	// AtBalloon is where crosvm has none.
	AtBalloon = PCI{0x06, 1}
	// AtClients is a netvm's interface to its clients. What is at function 0 there, every VMM has.
	AtClients = PCI{0x01, 1}
	// AtGPU is crosvm's alone. What crosvm has at 0x06 it chooses itself, and it may be nothing; a vsock device there always is.
	AtGPU = PCI{0x05, 7}
)

const (
	// firstShare and lastShare are those of the first shared directories; more are functions of the home's.
	firstShare, lastShare = 0x07, 0x0f
	// firstSlot is the first interface's.
	firstSlot = 0x10
	// perSlot is how many disks are functions of one PCI device: all but function 0.
	perSlot = 7
)

// String returns the place as lspci(8) has it, without the bus.
func (p PCI) String() string { return fmt.Sprintf("%02x.%d", p.Slot, p.Function) }

// DiskPlace returns where the nth of a VM's disks is, from 0: all are functions of devices that every VM has.
func DiskPlace(n int) PCI {
	return PCI{[]PCI{AtRoot, AtVsock}[n/perSlot].Slot, 1 + n%perSlot}
}

// HostDevicePlace returns where the nth of the host's devices that a VM has is, from 0. Where the panic device is, or crosvm's
// randomness, there always is one.
func HostDevicePlace(n int) PCI { return PCI{AtPanic.Slot, AtClients.Function + 1 + n} }

// SoundPlace returns where the sound device is: in the overlay's device, which is this one's own without an overlay, as nobody
// looks for functions where there is no function 0.
func (m *Machine) SoundPlace() PCI {
	if m.Overlay.Type == "qcow2" {
		return PCI{AtOverlay.Slot, 1}
	}
	return AtOverlay
}

// sharePlaces returns where n shared directories are, in their order.
func sharePlaces(n int, home bool) []PCI {
	all := make([]PCI, 0, n)
	for slot := firstShare; slot <= lastShare && len(all) < n; slot++ {
		all = append(all, PCI{slot, 0})
	}
	function := 0
	if home {
		function = 1
	}
	for ; len(all) < n; function++ {
		all = append(all, PCI{AtHome.Slot, function})
	}
	return all
}

// Shared tells whether the device at function 0 of a slot has others beside it, which it then has to say.
func (m *Machine) Shared(slot int) bool {
	for n := range m.Disks {
		if DiskPlace(n).Slot == slot {
			return true
		}
	}
	for _, i := range m.Interfaces {
		if i.PCI.Slot == slot && i.PCI.Function > 0 {
			return true
		}
	}
	for n := range m.PCIDevices {
		if HostDevicePlace(n).Slot == slot {
			return true
		}
	}
	for _, s := range m.Shares {
		if s.PCI.Slot == slot && s.PCI.Function > 0 {
			return true
		}
	}
	return false
}
