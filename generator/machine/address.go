package machine

import (
	"encoding/binary"
	"net/netip"

	"vmsilo/generator/config"
)

const (
	// perVM is how many addresses of each family a VM has for its interfaces, and perLink how many of them a link takes:
	// the host's and, behind it, the guest's.
	perVM, perLink = 32, 2
)

// address gives an interface what its configuration leaves to rules: addresses of both families where the host shall
// forward and none is given, and the host for a gateway and a name server where it forwards. One name server is all that
// a guest needs: named tells that it has one.
func (i *Interface) address(vm *config.VM, named bool) {
	if i.HostAddress != "" {
		i.HostAddresses = []netip.Prefix{netip.MustParsePrefix(i.HostAddress)}
	}
	if !i.NAT {
		return
	}
	if i.Addresses == nil && i.HostAddresses == nil {
		offset := perVM*vm.ID + perLink*(i.Index-firstIndex)
		for _, subnet := range vm.Subnets {
			host := nth(subnet, offset)
			i.HostAddresses = append(i.HostAddresses, netip.PrefixFrom(host, host.BitLen()-1))
			i.Addresses = append(i.Addresses, netip.PrefixFrom(host.Next(), host.BitLen()-1).String())
		}
	}
	if i.Addresses == nil {
		return
	}
	var hosts []string
	for _, host := range i.HostAddresses {
		hosts = append(hosts, host.Addr().String())
	}
	if i.Gateways == nil {
		i.Gateways = hosts
	}
	if i.DNS == nil && !named {
		i.DNS = hosts
	}
}

// nth returns an address of a network, counted from its first one.
func nth(subnet netip.Prefix, offset int) netip.Addr {
	bytes := subnet.Addr().AsSlice()
	last := bytes[len(bytes)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+uint32(offset))
	address, _ := netip.AddrFromSlice(bytes)
	return address
}
