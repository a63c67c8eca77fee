package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vmsilo/guest/internal/cmdline"
)

const header = "# Written by vmsilo-network from the kernel command line\n"

// defaultMetric is the kernel's own metric for routes of IPv6; systemd.network(5).
const defaultMetric = 1024

// network is the systemd.network(5) file of an interface. Nothing is asked of the network itself: who else is on it
// must not give this VM an address or a route, nor hear its name. An interface without addresses has its link-local one.
func network(i cmdline.Interface, rank int) string {
	var text strings.Builder
	text.WriteString(header)
	fmt.Fprintf(&text, "[Match]\nName=%s\n\n[Link]\nRequiredForOnline=no\n", i.Name)
	if i.MTU != 0 {
		fmt.Fprintf(&text, "MTUBytes=%d\n", i.MTU)
	}
	text.WriteString("\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\nLLMNR=no\nConfigureWithoutCarrier=yes\n")
	for _, a := range i.Addresses {
		fmt.Fprintf(&text, "Address=%s\n", a)
	}
	for _, g := range i.Gateways {
		if !onLink(i, g) {
			// It answers for names, too, and another interface may have a network that it would be in.
			fmt.Fprintf(&text, "\n[Route]\nDestination=%s\n", netip.PrefixFrom(g, g.BitLen()))
		}
		fmt.Fprintf(&text, "\n[Route]\nGateway=%s\n", g)
		if !onLink(i, g) {
			text.WriteString("GatewayOnLink=yes\n")
		}
		// Of two default routes the one of the interface that is named first is taken.
		fmt.Fprintf(&text, "Metric=%d\n", defaultMetric+rank)
	}
	return text.String()
}

// onLink says whether one of the interface's networks holds the gateway.
func onLink(i cmdline.Interface, gateway netip.Addr) bool {
	return slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool { return a.Contains(gateway) })
}

// resolved is the resolved.conf(5) file. The servers are all that there are: none that a distribution built in. Clients
// ask at this VM's addresses of the interface to them, and are answered whatever its own servers are by then.
func resolved(servers []netip.Addr, clients *cmdline.Interface) string {
	text := header + "[Resolve]\nFallbackDNS=\nDNS="
	for i, s := range servers {
		if i > 0 {
			text += " "
		}
		text += s.String()
	}
	text += "\n"
	if clients != nil {
		for _, a := range clients.Addresses {
			text += "DNSStubListenerExtra=" + a.Addr().String() + "\n"
		}
	}
	return text
}
