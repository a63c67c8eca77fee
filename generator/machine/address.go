package machine

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"vmsilo/generator/config"
)

const (
	// perVM is how many addresses of each family a VM has for its interfaces, and perLink how many of them a link takes:
	// the host's and, behind it, the guest's.
	perVM, perLink = 32, 2
)

// address gives an interface what its configuration leaves to rules: addresses of both families where the host or a netvm
// shall forward and none is given, and who forwards for a gateway and a name server. One name server is all that a guest
// needs: named tells that it has one.
func (i *Interface) address(vm *config.VM, named bool) {
	if i.HostAddress != "" {
		i.HostAddresses = []netip.Prefix{netip.MustParsePrefix(i.HostAddress)}
	}
	if !i.NAT && i.NetVM == "" {
		return
	}
	if i.Addresses == nil && i.HostAddresses == nil {
		for _, subnet := range vm.Subnets {
			host, guest := link(subnet, vm.ID, i.Index)
			if i.NAT {
				i.HostAddresses = append(i.HostAddresses, netip.PrefixFrom(host, host.BitLen()-1))
			}
			i.Addresses = append(i.Addresses, netip.PrefixFrom(guest, guest.BitLen()-1).String())
		}
	}
	if i.Addresses == nil {
		return
	}
	routers := i.routers(vm.Subnets)
	if i.Gateways == nil {
		i.Gateways = routers
	}
	if i.DNS == nil && !named {
		i.DNS = routers
	}
}

// routers returns the addresses of who forwards for an interface, of the families that it has.
func (i *Interface) routers(subnets []netip.Prefix) (all []string) {
	for _, host := range i.HostAddresses {
		all = append(all, host.Addr().String())
	}
	if i.NetVM == "" {
		return all
	}
	for _, a := range atNetVM(subnets, i.NetVMID) {
		if slices.ContainsFunc(i.Addresses, func(own string) bool { return netip.MustParsePrefix(own).Addr().Is6() == a.Is6() }) {
			all = append(all, a.String())
		}
	}
	return all
}

// link returns the two addresses of a link in a subnet: the host's, which nobody has where a netvm is in its place, and the
// guest's.
func link(subnet netip.Prefix, id, index int) (host, guest netip.Addr) {
	host = nth(subnet, perVM*id+perLink*(index-firstIndex))
	return host, host.Next()
}

// nth returns an address of a network, counted from its first one.
func nth(subnet netip.Prefix, offset int) netip.Addr {
	bytes := subnet.Addr().AsSlice()
	last := bytes[len(bytes)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+uint32(offset))
	address, _ := netip.AddrFromSlice(bytes)
	return address
}
