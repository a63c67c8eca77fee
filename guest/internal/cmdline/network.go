package cmdline

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// An MTU below what IPv6 asks for would be raised in silence by systemd-networkd; more than 16 bits no driver takes.
const (
	minMTU = 1280
	maxMTU = 65535
)

func addInterface(p *Params, value string) error {
	name, rest, ok := strings.Cut(value, ",")
	if !ok {
		return fmt.Errorf("%q is not IFNAME,MAC", value)
	}
	if !ValidInterfaceName(name) {
		return fmt.Errorf("%q cannot be the name of an interface", name)
	}
	mac, err := parseMAC(rest)
	if err != nil {
		return err
	}
	for _, other := range p.Interfaces {
		if other.Name == name || other.MAC == mac {
			return fmt.Errorf("%q clashes with %s,%s", value, other.Name, other.MAC)
		}
	}
	if len(p.Interfaces) == MaxInterfaces {
		return fmt.Errorf("%q is one too many: a VM has %d interfaces at most", value, MaxInterfaces)
	}
	p.Interfaces = append(p.Interfaces, Interface{Name: name, MAC: mac})
	return nil
}

// parseMAC accepts six bytes with colons that name one station: not a group, not all zeros.
func parseMAC(s string) (string, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(s) != len("00:00:00:00:00:00") || s[2] != ':' {
		return "", fmt.Errorf("%q is not a MAC address", s)
	}
	if mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
		return "", fmt.Errorf("MAC address %q is not a unicast one", s)
	}
	return mac.String(), nil
}

func addAddress(p *Params, value string) error {
	i, rest, err := p.interfaceOf(value, "IFNAME,ADDRESS/LENGTH")
	if err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(rest)
	if err != nil || prefix.Bits() == 0 {
		return fmt.Errorf("%q is not an address with the length of its network, as in 10.0.0.2/24", rest)
	}
	if err := host(prefix.Addr(), rest); err != nil {
		return err
	}
	for _, other := range p.Interfaces {
		if slices.ContainsFunc(other.Addresses, func(a netip.Prefix) bool { return a.Addr() == prefix.Addr() }) {
			return fmt.Errorf("%q: %s has this address", value, other.Name)
		}
	}
	if len(i.Addresses) == MaxAddresses {
		return fmt.Errorf("%q is one too many: an interface has %d addresses at most", value, MaxAddresses)
	}
	i.Addresses = append(i.Addresses, prefix)
	return nil
}

func addGateway(p *Params, value string) error {
	i, rest, err := p.interfaceOf(value, "IFNAME,ADDRESS")
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(rest)
	if err != nil {
		return fmt.Errorf("%q is not an address", rest)
	}
	if err := host(addr, rest); err != nil {
		return err
	}
	for _, other := range i.Gateways {
		if other.Is4() == addr.Is4() {
			return fmt.Errorf("%q: %s has a gateway of this kind, %s", value, i.Name, other)
		}
	}
	i.Gateways = append(i.Gateways, addr)
	return nil
}

func setMTU(p *Params, value string) error {
	i, rest, err := p.interfaceOf(value, "IFNAME,BYTES")
	if err != nil {
		return err
	}
	// Digits alone: Atoi takes a sign, too.
	n, err := strconv.ParseUint(rest, 10, 16)
	if err != nil || n < minMTU || rest[0] == '0' {
		return fmt.Errorf("%q is not a number of bytes from %d to %d", rest, minMTU, maxMTU)
	}
	if i.MTU != 0 {
		return fmt.Errorf("%q: %s has an MTU, %d", value, i.Name, i.MTU)
	}
	i.MTU = int(n)
	return nil
}

func addDNS(p *Params, value string) error {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return fmt.Errorf("%q is not an address", value)
	}
	if err := host(addr, value); err != nil {
		return err
	}
	if slices.Contains(p.DNS, addr) {
		return fmt.Errorf("%q is given twice", value)
	}
	if len(p.DNS) == MaxDNS {
		return fmt.Errorf("%q is one too many: a VM has %d name servers at most", value, MaxDNS)
	}
	p.DNS = append(p.DNS, addr)
	return nil
}

func setClients(p *Params, value string) error {
	if p.Interface(value) == nil {
		return fmt.Errorf("%q: no %s gives this name", value, naming)
	}
	p.Clients = value
	return nil
}

// interfaceOf cuts a value at its comma and finds the interface that is named before it.
func (p *Params) interfaceOf(value, form string) (*Interface, string, error) {
	name, rest, ok := strings.Cut(value, ",")
	if !ok || rest == "" {
		return nil, "", fmt.Errorf("%q is not %s", value, form)
	}
	i := p.Interface(name)
	if i == nil {
		return nil, "", fmt.Errorf("%q: no %s gives this name", name, naming)
	}
	return i, rest, nil
}

// host refuses what cannot be the address of one host beside this one: groups, nobody, the host itself, and forms
// that mean another address or an interface.
func host(a netip.Addr, text string) error {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a.Zone() != "" || a == broadcast {
		return fmt.Errorf("%q is not the address of a host on a network", text)
	}
	return nil
}
