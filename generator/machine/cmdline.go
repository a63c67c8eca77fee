package machine

import (
	"fmt"
	"net/netip"
	"strings"

	"vmsilo/generator/config"
)

// KernelCommandLine returns what the guest is told; console is the VMM's serial port. docs/guest.md has each parameter.
func (m *Machine) KernelCommandLine(console string) string {
	// Where the guest writes its log, colours would be bytes that no journal shows as text.
	c := commandLine{"console=" + console, "TERM=dumb"}
	c.add("name", m.Name)
	for _, i := range m.Interfaces {
		c.add("ifname", i.Name, i.MAC)
	}
	servers := map[netip.Addr]bool{}
	for _, i := range m.Interfaces {
		c.network(i, servers)
	}
	if m.HasClients {
		c.add("clients", config.Clients)
	}
	c.add("overlay", m.Overlay.Type)
	home := "none"
	if m.SharedHome != "" {
		home = "virtiofs"
	}
	c.add("home", home)
	for _, s := range m.SharedDirectories {
		mode := "rw"
		if s.ReadOnly {
			mode = "ro"
		}
		c.add("share", s.Tag, s.Target, mode)
	}
	if m.WaylandProxy != "none" {
		c.add("wayland_proxy", m.WaylandProxy)
	}
	return strings.Join(append(c, m.KernelParams...), " ")
}

type commandLine []string

// add appends vmsilo.KEY=VALUE,VALUE…
func (c *commandLine) add(key string, values ...string) {
	for n, v := range values {
		values[n] = encode(v)
	}
	*c = append(*c, "vmsilo."+key+"="+strings.Join(values, ","))
}

// network appends what is configured of an interface; servers are those that were named before: they are the VM's.
func (c *commandLine) network(i Interface, servers map[netip.Addr]bool) {
	for _, a := range i.Addresses {
		c.add("address", i.Name, a)
	}
	for _, g := range i.Gateways {
		c.add("gateway", i.Name, g)
	}
	for _, d := range i.DNS {
		if address := netip.MustParseAddr(d); !servers[address] {
			servers[address] = true
			c.add("dns", d)
		}
	}
	if i.MTU != 0 {
		c.add("mtu", i.Name, fmt.Sprint(i.MTU))
	}
}

// encode percent-encodes every byte that could end a value or a parameter, or be a quote to the kernel.
func encode(value string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"
	var b strings.Builder
	for _, c := range []byte(value) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
