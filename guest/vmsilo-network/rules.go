package main

import "strings"

// rules are what nft(8) does for a VM that routes for those on an interface, whose name needs no quoting but the quotes. The
// host has looked at what clients send, and their ports do not reach each other; here it is kept from leading one to the other
// by way of this VM, and to anything in this VM but its answers for names.
func rules(clients string) string { return strings.ReplaceAll(routerRules, "CLIENTS", clients) }

const routerRules = `# Written by vmsilo-network from the kernel command line
table inet vmsilo
delete table inet vmsilo
table inet vmsilo {
	chain input {
		type filter hook input priority filter
		iifname "CLIENTS" jump clients
	}
	chain clients {
		# Neighbour discovery, answers, and errors about what this VM sends.
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		ct state established,related accept
		# Questions for names, at its address of this interface and at none of the others.
		fib daddr . iif type != local drop
		udp dport 53 accept
		tcp dport 53 accept
		drop
	}
	chain forward {
		type filter hook forward priority filter; policy drop
		# What this VM goes on through may take less at once than the clients' link.
		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		ct state established,related accept
		iifname "CLIENTS" oifname != "CLIENTS" accept
	}
	chain postrouting {
		type nat hook postrouting priority srcnat
		iifname "CLIENTS" masquerade
	}
}
`
