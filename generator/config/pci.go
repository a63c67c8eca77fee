package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxPCIDevices is how many devices of the host a VM has room for: functions 2 to 7 of one PCI device.
const maxPCIDevices = 6

// pciDevices decodes addresses of devices of the host, each given once, and stores them with their domain.
func (d *decoder) pciDevices(vm *VM) func(*Node) {
	return func(n *Node) {
		if len(n.items) > maxPCIDevices {
			d.errorf(n.key, "", "%d PCI devices are more than the %d that a VM has slots for", len(n.items), maxPCIDevices)
			return
		}
		d.texts(&vm.PCIDevices, checkPCI)(n)
		for at, address := range vm.PCIDevices {
			if strings.Count(address, ":") == 1 {
				address = "0000:" + address
			}
			if slices.Contains(vm.PCIDevices[:at], address) {
				d.errorf(n.items[at].value, "", "%q stands here twice", n.items[at].text)
			}
			vm.PCIDevices[at] = address
		}
	}
}

// checkPCI wants a device's place as lspci(8) prints it, with or without the domain.
func checkPCI(s string) string {
	if matched, _ := regexp.MatchString(`^([0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$`, s); !matched {
		return fmt.Sprintf("%q is not the address of a PCI device, such as \"01:00.0\" or \"0000:01:00.0\"", s)
	}
	return ""
}

// checkPinned takes the balloon from a VM with devices of the host: they reach the guest's memory past its processors, so that
// all of it stays where it is, and what a balloon gave back would be missing. One that the VM's own file asks for is an error.
func (d *decoder) checkPinned(vm *VM, own *Node) {
	if len(vm.PCIDevices) == 0 {
		return
	}
	vm.Balloon = false
	if n := own.table["balloon"]; isTrue(n) {
		d.errorf(n.key, "take it out: all of the guest's memory stays where the devices find it", `"balloon" cannot stand beside "pci_devices"`)
	}
}

// checkPCIDevices finds devices of the host that more than one VM would have. Each VM is refused and names the others. A VM
// that is broken otherwise keeps its devices: it may be running.
func (c *Config) checkPCIDevices() {
	bearers := map[string][]string{}
	for vm := range c.All() {
		for _, address := range vm.PCIDevices {
			if !slices.Contains(bearers[address], vm.Name) {
				bearers[address] = append(bearers[address], vm.Name)
			}
		}
	}
	problems := map[string][]Error{}
	for vm := range c.All() {
		for n, address := range vm.PCIDevices {
			if len(bearers[address]) == 1 {
				continue
			}
			others := slices.DeleteFunc(slices.Clone(bearers[address]), func(name string) bool { return name == vm.Name })
			slices.Sort(others)
			problems[vm.Name] = append(problems[vm.Name], Error{
				vm.origin.root().table["pci_devices"].items[n].value,
				fmt.Sprintf("PCI device %s is also that of %s", address, strings.Join(others[:min(len(others), 10)], ", ")),
				"a device is in one VM alone",
			})
		}
	}
	c.refuseAll(problems)
}
