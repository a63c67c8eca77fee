package machine

import (
	"net/netip"
	"slices"

	"vmsilo/generator/config"
)

// clientsIndex is the index of a netvm's interface to its clients: the one after all others', so that they keep theirs. Its
// addresses are the last of those that a VM has.
const clientsIndex = 37

// bridgeName is the bridge between a netvm and its clients. No TAP has such a name, since theirs end in numbers.
func bridgeName(name string, id int) string { return linkName(name, id, "br") }

// clients returns the interface of a netvm to its clients. It is a function of the netvm alone, whoever its clients are: they
// are all in the networks that addresses are taken from.
func clients(vm *config.VM) Interface {
	i := Interface{
		Interface: config.Interface{Name: config.Clients, Bridge: bridgeName(vm.Name, vm.ID), Queues: 1},
		Index:     clientsIndex,
		TAP:       tapName(vm.Name, vm.ID, clientsIndex),
		PCI:       AtClients,
		Router:    true,
	}
	i.MAC = macAddress(vm.Name, i.Interface)
	for n, address := range atNetVM(vm.Subnets, vm.ID) {
		i.Addresses = append(i.Addresses, netip.PrefixFrom(address, vm.Subnets[n].Bits()).String())
	}
	return i
}

// atNetVM returns the addresses that a netvm with that id has for its clients, one in each subnet.
func atNetVM(subnets []netip.Prefix, id int) (all []netip.Addr) {
	for _, subnet := range subnets {
		_, guest := link(subnet, id, clientsIndex)
		all = append(all, guest)
	}
	return all
}

// NetVMs returns the VM's netvms, each once.
func (m *Machine) NetVMs() (names []string) {
	for _, i := range m.Interfaces {
		if i.NetVM != "" && !slices.Contains(names, i.NetVM) {
			names = append(names, i.NetVM)
		}
	}
	return names
}

// join makes a client's interface a port of its netvm's bridge. All ports but the netvm's are isolated.
func (i *Interface) join() {
	if i.NetVM == "" {
		return
	}
	i.Bridge, i.Isolated = bridgeName(i.NetVM, i.NetVMID), true
	i.NetVMTAP = tapName(i.NetVM, i.NetVMID, clientsIndex)
}
