package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

const interfaceRule = "an interface's name is a letter or digit and up to 14 of A-Z, a-z, 0-9, _, . and -, not digits alone, and neither lo nor clients"

const (
	// maxInterfaces is how many slots a VM has for interfaces: indexes 22 to 36.
	maxInterfaces = 15
	// minMTU is the least for IPv6, which every interface of a guest has: RFC 8200, section 5. maxMTU is what a TAP takes:
	// MAX_MTU of drivers/net/tun.c less an Ethernet header.
	minMTU, maxMTU = 1280, 65521
	// clientMTU is that of a netvm's interface to its clients, which is the kernel's.
	clientMTU = 1500
	// maxQueues is what a TAP can have: MAX_TAP_QUEUES of drivers/net/tun.c.
	maxQueues = 256
)

// Clients is the name of a netvm's interface to the VMs that have it for theirs.
const Clients = "clients"

// interfaces decodes the interfaces of a VM.
func (d *decoder) interfaces(vm *VM) func(*Node) {
	return func(n *Node) {
		if n.kind == unstable.Array {
			d.errorf(n.key, "give each interface a table: [network.interfaces.lan0]",
				"interfaces is a table, keyed by the name that the guest sees")
			return
		}
		d.atMost(maxInterfaces, "interfaces", d.tables(func(name string, n *Node) {
			if !isName(name, 15) || strings.Trim(name, digits) == "" || name == "lo" || name == Clients {
				d.errorf(n.key, interfaceRule, "%q is not an interface's name", name)
				return
			}
			i := Interface{Name: name, Isolated: true, Queues: 1}
			d.table(d.interfaceFields(&i)...)(n)
			d.checkInterface(&i, n)
			i.MAC = strings.ToLower(i.MAC)
			vm.Interfaces = append(vm.Interfaces, i)
		}))(n)
	}
}

func (d *decoder) interfaceFields(i *Interface) []field {
	kind := ""
	return []field{
		{"type", d.oneOf(&kind, "tap")},
		{"mac_address", d.text(&i.MAC, checkMAC)},
		{"host_address", d.text(&i.HostAddress, checkCIDR)},
		{"bridge", d.text(&i.Bridge, checkBridge)},
		{"isolated", d.bool(&i.Isolated)},
		{"netvm", d.text(&i.NetVM, checkName)},
		{"addresses", d.textOrTexts(&i.Addresses, checkCIDR)},
		{"gateway", d.textOrTexts(&i.Gateways, checkIP)},
		{"dns", d.textOrTexts(&i.DNS, checkIP)},
		{"nat", d.bool(&i.NAT)},
		{"mtu", d.integer(&i.MTU, minMTU, maxMTU)},
		{"queues", d.integer(&i.Queues, 1, maxQueues)},
	}
}

// checkInterface finds keys of one interface that do not go together.
func (d *decoder) checkInterface(i *Interface, n *Node) {
	d.exclude(n, "netvm", "the host has no part in a link between two VMs", "bridge", "host_address", "nat", "isolated")
	d.exclude(n, "bridge", "the host's address belongs to the bridge", "host_address", "nat")
	if n.table["isolated"] != nil && n.table["bridge"] == nil && n.table["netvm"] == nil {
		d.errorf(n.table["isolated"].key, `give it a "bridge", or take this out`, `"isolated" is about the ports of a bridge`)
	}
	if i.NAT && n.table["addresses"] != nil && n.table["host_address"] == nil {
		d.errorf(n.table["nat"].key, `add "host_address", or take "addresses" out and have both chosen`,
			`with "nat" and "addresses" the host needs an address, too`)
	}
	if i.NetVM != "" && i.MTU > clientMTU {
		d.errorf(n.table["mtu"].value, "", "an MTU of %d is more than the %d of the link to a netvm", i.MTU, clientMTU)
	}
	d.checkHost(i, n)
	d.checkGateways(i, n)
}

// checkHost finds addresses that the host has on the link, and with "nat" those that it would send no answer to there.
func (d *decoder) checkHost(i *Interface, n *Node) {
	host, err := netip.ParsePrefix(i.HostAddress)
	if err != nil {
		// It has none, or that is said.
		return
	}
	for at, text := range i.Addresses {
		address, place := netip.MustParsePrefix(text).Addr(), n.table["addresses"].item(at)
		switch {
		case address == host.Addr():
			d.errorf(place.value, "", "%s is the host's own address on the link", address)
		case i.NAT && address.Is6() == host.Addr().Is6() && !host.Contains(address):
			d.errorf(place.value, "", "%s is outside the network of \"host_address\", %s: no answer would come back", address, host.Masked())
		}
	}
}

const (
	// maxAddresses and maxDNS are how many an interface and a VM can have: docs/guest.md.
	maxAddresses, maxDNS = 16, 8
)

// checkQueues finds interfaces with more queues than processors: crosvm would fall back to one in silence, which the TAP
// is not made for (create_net_device() of its src/crosvm/sys/linux/device_helpers.rs), and the others gain nothing.
func (d *decoder) checkQueues(vm *VM, tree *Node) {
	for _, i := range vm.Interfaces {
		if n := tree.table["network"].table["interfaces"].table[i.Name].table["queues"]; n != nil && i.Queues > max(vm.CPUs, 1) {
			d.errorf(n.value, "", "%d queues are more than the VM's cpus: %d", i.Queues, vm.CPUs)
		}
	}
}

// checkAddresses finds addresses that two interfaces of a VM have, and more of them and of name servers than a guest takes.
func (d *decoder) checkAddresses(vm *VM, tree *Node) {
	bearers, servers := map[netip.Addr]string{}, map[netip.Addr]bool{}
	for _, i := range vm.Interfaces {
		n := tree.table["network"].table["interfaces"].table[i.Name]
		for at, text := range i.Addresses {
			address := netip.MustParsePrefix(text).Addr()
			if other := bearers[address]; other != "" {
				d.errorf(n.table["addresses"].item(at).value, "", "%s is also an address of interface %q", address, other)
			}
			bearers[address] = i.Name
		}
		if len(i.Addresses) > maxAddresses {
			d.errorf(n.table["addresses"].key, "", "%d addresses are more than the %d that an interface can have", len(i.Addresses), maxAddresses)
		}
		for _, text := range i.DNS {
			servers[netip.MustParseAddr(text)] = true
		}
		if len(i.DNS) > 0 && len(servers) > maxDNS {
			d.errorf(n.table["dns"].key, "", "%d name servers are more than the %d that a VM can have", len(servers), maxDNS)
		}
	}
}

// exclude finds keys that cannot stand beside key.
func (d *decoder) exclude(n *Node, key, why string, others ...string) {
	if n.table[key] == nil {
		return
	}
	for _, other := range others {
		if o := n.table[other]; o != nil && !(o.kind == unstable.Bool && o.text == "false") {
			d.errorf(o.key, why, "%q cannot stand beside %q", other, key)
		}
	}
}

// checkGateways wants one gateway a family, inside a network of the interface's own addresses.
func (d *decoder) checkGateways(i *Interface, n *Node) {
	families := map[bool]bool{}
	for at, text := range i.Gateways {
		gateway := netip.MustParseAddr(text)
		place := n.table["gateway"].item(at)
		inside := func(a string) bool { return netip.MustParsePrefix(a).Contains(gateway) }
		switch {
		case families[gateway.Is6()]:
			d.errorf(place.value, "", "%s is a second gateway of its family", gateway)
		case n.table["addresses"] == nil:
			d.errorf(place.value, `add "addresses"`, "%s is a gateway, and the interface has no address to reach it from", gateway)
		case slices.ContainsFunc(i.Addresses, func(a string) bool { return netip.MustParsePrefix(a).Addr() == gateway }):
			d.errorf(place.value, "", "%s is the interface's own address", gateway)
		case i.Addresses != nil && !slices.ContainsFunc(i.Addresses, inside):
			d.errorf(place.value, "", "gateway %s is outside the interface's networks: %s", gateway, strings.Join(i.Addresses, ", "))
		}
		families[gateway.Is6()] = true
	}
}

// checkMAC wants six bytes of a unicast address, in the one spelling of IEEE 802 that the kernel prints.
func checkMAC(s string) string {
	mac, err := net.ParseMAC(s)
	switch {
	case err != nil || len(mac) != 6 || strings.Count(s, ":") != 5:
		return fmt.Sprintf("%q is not a MAC address such as \"52:54:00:12:34:56\"", s)
	case mac[0]&1 != 0:
		return fmt.Sprintf("%q is a multicast address: the first byte must be even", s)
	case slices.Max(mac) == 0:
		return fmt.Sprintf("%q is no address", s)
	}
	return ""
}

func checkCIDR(s string) string {
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not an address with a prefix length, such as \"10.0.0.1/24\"", s)
	case prefix.Bits() == 0:
		return fmt.Sprintf("%q is all addresses there are", s)
	case !unicast(prefix.Addr()):
		return fmt.Sprintf("%q is not the address of one interface", s)
	}
	return ""
}

func checkIP(s string) string {
	address, err := netip.ParseAddr(s)
	switch {
	case err != nil || address.Zone() != "":
		return fmt.Sprintf("%q is not an IP address", s)
	case !unicast(address):
		return fmt.Sprintf("%q is not the address of one machine", s)
	}
	return ""
}

// unicast tells whether an address can be an interface's.
func unicast(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.Is4In6() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// checkBridge wants a name that the kernel takes: dev_valid_name() of net/core/dev.c.
func checkBridge(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == ':' || r == '%' }
	if s == "" || len(s) > 15 || s == "." || s == ".." || strings.ContainsFunc(s, odd) {
		return fmt.Sprintf("%q is not a name that a bridge can have: 15 letters, digits or signs at most, none of / : %%", s)
	}
	return ""
}

func checkPort(s string) string {
	number, protocol, _ := strings.Cut(s, "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 || number[0] == '+' || (protocol != "tcp" && protocol != "udp") {
		return fmt.Sprintf("%q is not a port, such as \"53/udp\" or \"443/tcp\"", s)
	}
	return ""
}

// subnetBits is the longest prefix whose network holds the 32 addresses of each of the ids up to 9999.
const subnetBits = 13

func checkSubnet(s string) string {
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !prefix.Addr().Is4():
		return fmt.Sprintf("%q is not an IPv4 network, such as \"10.200.0.0/13\"", s)
	case prefix.Masked() != prefix:
		return fmt.Sprintf("%q has bits set after its prefix: the network is %q", s, prefix.Masked())
	case prefix.Bits() > subnetBits || prefix.Bits() == 0:
		return fmt.Sprintf("%q does not fit: VMs up to id 9999 need a /%d or larger", s, subnetBits)
	}
	return ""
}

// ula is the range of unique local addresses: RFC 4193.
var ula = netip.MustParsePrefix("fc00::/7")

func checkSubnet6(s string) string {
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !ula.Contains(prefix.Addr()) || prefix.Bits() != 48:
		return fmt.Sprintf("%q is not a unique local /48, such as \"fd12:3456:789a::/48\"", s)
	case prefix.Masked() != prefix:
		return fmt.Sprintf("%q has bits set after its prefix: the network is %q", s, prefix.Masked())
	}
	return ""
}
