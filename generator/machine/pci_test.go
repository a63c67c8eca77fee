package machine

import (
	"fmt"
	"testing"

	"vmsilo/generator/config"
)

// most is a VM with as many devices as one has, with the home or without.
func most(home string) *config.VM {
	vm := &config.VM{Name: "most", ID: 3, SharedHome: home, GPU: true, HasClients: true, Overlay: config.Overlay{Type: "qcow2"}}
	for n := range 15 {
		vm.Interfaces = append(vm.Interfaces, config.Interface{Name: fmt.Sprintf("eth%02d", n)})
	}
	for n := range 13 {
		vm.Disks = append(vm.Disks, config.Disk{Name: fmt.Sprintf("d%02d", n)})
	}
	for n := range 6 {
		vm.PCIDevices = append(vm.PCIDevices, fmt.Sprintf("0000:01:00.%d", n))
	}
	for n := range 16 {
		vm.SharedDirectories = append(vm.SharedDirectories, config.SharedDirectory{Tag: fmt.Sprintf("s%02d", n)})
	}
	return vm
}

// No two devices are in one place, and function 0 is there wherever another is.
func TestPlaces(t *testing.T) {
	for _, home := range []string{"", "/shared/most"} {
		m := New(most(home))
		seen := map[PCI]string{}
		place := func(p PCI, what string) {
			if seen[p] != "" {
				t.Errorf("%s is %s and %s", p, seen[p], what)
			}
			seen[p] = what
		}
		for p, what := range map[PCI]string{
			AtPanic: "panic", AtRoot: "root", AtOverlay: "overlay", AtVsock: "vsock", AtRNG: "rng", AtBalloon: "balloon", AtGPU: "gpu",
		} {
			place(p, what)
		}
		for n, d := range m.Disks {
			place(DiskPlace(n), d.Name)
		}
		for n, d := range m.PCIDevices {
			place(HostDevicePlace(n), d)
		}
		for _, s := range m.Shares {
			place(s.PCI, s.Tag)
		}
		for n, i := range m.Interfaces {
			place(i.PCI, i.Name)
			if i.PCI != (PCI{0x10 + n, 0}) && i.Name != config.Clients {
				t.Errorf("%s is at %s", i.Name, i.PCI)
			}
		}
		for p := range seen {
			if p.Slot < 1 || p.Slot > 0x1e || p.Function < 0 || p.Function > 7 || seen[PCI{p.Slot, 0}] == "" {
				t.Errorf("%s: nobody finds it", p)
			}
			// Where the GPU is, there is crosvm, which sees to it; and the board that has the balloon does so for its rng.
			if p.Function > 0 && p != AtGPU && p != AtBalloon && !m.Shared(p.Slot) {
				t.Errorf("%s: function 0 does not tell of it", p)
			}
		}
		if m.Shared(AtRNG.Slot) || m.Shared(AtOverlay.Slot) || m.Shared(0x10) {
			t.Error("a device that is alone says that it is not")
		}
	}
}
