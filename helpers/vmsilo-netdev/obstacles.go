package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// obstacle is a chain of somebody else's that drops what the host would forward for a guest, or what it would let through to
// host_ports: whatever other chains let through, each has to let it through as well.
type obstacle struct {
	chain *nftables.Chain
	// beside are the names of the other chains of its table.
	beside []string
}

// obstacles finds chains at the hooks that drop all that they do not know, and in which no rule names the device, as those of the hints do.
// What rules do is not looked at: firewalld, which rejects by one, is known by the name of its table.
func obstacles(device string, hooks ...*nftables.ChainHook) ([]obstacle, error) {
	c, err := newBatch()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, err
	}
	var found []obstacle
	for _, chain := range chains {
		drops := chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop || chain.Table.Name == "firewalld"
		if _, known := families[chain.Table.Family]; !known || !drops || chain.Type != nftables.ChainTypeFilter || !at(chain, hooks) {
			continue
		}
		if named, err := names(c, chain.Table, chain.Name, device, map[string]bool{}); err != nil {
			return nil, err
		} else if !named {
			found = append(found, obstacle{chain, beside(chains, chain)})
		}
	}
	return found, nil
}

// names tells whether a rule of a chain, or of one that it leads to and that is not among the seen, names a device.
func names(c *nftables.Conn, table *nftables.Table, chain, device string, seen map[string]bool) (bool, error) {
	seen[chain] = true
	rules, err := c.GetRules(table, &nftables.Chain{Name: chain, Table: table})
	if err != nil {
		return false, err
	}
	for _, rule := range rules {
		for _, e := range rule.Exprs {
			switch e := e.(type) {
			case *expr.Cmp:
				if string(bytes.TrimRight(e.Data, "\x00")) == device {
					return true, nil
				}
			case *expr.Verdict:
				if e.Chain == "" || seen[e.Chain] {
					continue
				}
				if found, err := names(c, table, e.Chain, device, seen); found || err != nil {
					return found, err
				}
			}
		}
	}
	return false, nil
}

// at tells whether the kernel calls a chain at one of the hooks.
func at(chain *nftables.Chain, hooks []*nftables.ChainHook) bool {
	return chain.Hooknum != nil && slices.ContainsFunc(hooks, func(hook *nftables.ChainHook) bool { return *hook == *chain.Hooknum })
}

func beside(chains []*nftables.Chain, chain *nftables.Chain) (names []string) {
	for _, c := range chains {
		if c.Table.Name == chain.Table.Name && c.Table.Family == chain.Table.Family {
			names = append(names, c.Name)
		}
	}
	return names
}

// families are the names of nft(8), and the programs of iptables(8).
var families = map[nftables.TableFamily][2]string{
	nftables.TableFamilyIPv4: {"ip", "iptables"}, nftables.TableFamilyIPv6: {"ip6", "ip6tables"}, nftables.TableFamilyINet: {"inet", "nft"},
}

// hint tells how whoever made the chain has packets let through that come from an interface, and answers to them.
func (o obstacle) hint(device string) string {
	program := families[o.chain.Table.Family][1]
	isUfw := func(name string) bool { return strings.HasPrefix(name, "ufw") }
	input := *o.chain.Hooknum == *nftables.ChainHookInput
	switch {
	case o.chain.Table.Name == "firewalld":
		// For now and for good: a reload would do both, and forget what somebody else has set for now.
		add := "--zone=trusted --add-interface=" + device
		return "firewall-cmd " + add + " && firewall-cmd --permanent " + add
	case slices.ContainsFunc(o.beside, isUfw) && input:
		return "ufw allow in on " + device
	case input:
		return "let through there what comes from " + device
	case slices.Contains(o.beside, "DOCKER-USER"):
		return fmt.Sprintf("%s -I DOCKER-USER -i %s -j ACCEPT; %s -I DOCKER-USER -o %s -j ACCEPT", program, device, program, device)
	case slices.ContainsFunc(o.beside, isUfw):
		return "ufw route allow in on " + device
	}
	return "let through there what comes from " + device + " and what goes to it"
}

// bridgeFilter has the chains for what is forwarded see what bridges send from port to port, too: br_netfilter of the kernel.
const bridgeFilter = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// warn tells of each obstacle, for the journal and vmsilo why. The number is the level that the journal reads: a warning.
func (t *tap) warn(to io.Writer) {
	var hooks []*nftables.ChainHook
	if t.NAT || t.private() && get(bridgeFilter) == "1" {
		hooks = append(hooks, nftables.ChainHookForward)
	}
	// The host's name server, too, is asked at a port of the host when it is on loopback.
	if t.Ports != nil || t.NAT && slices.ContainsFunc(resolvers(), netip.Addr.IsLoopback) {
		hooks = append(hooks, nftables.ChainHookInput)
	}
	if hooks == nil {
		return
	}
	// To these chains, it is the bridge where packets come from and go to.
	name := cmp.Or(t.Bridge, t.Name)
	found, err := obstacles(name, hooks...)
	if err != nil {
		fmt.Fprintf(to, "<4>vmsilo-netdev: warning: looking for what stands in the way of %s failed: %v\n", name, err)
	}
	for _, o := range found {
		fmt.Fprintf(to, "<4>vmsilo-netdev: warning: chain %q of table \"%s %s\" may drop what %s sends and gets\n<4>hint: %s\n",
			o.chain.Name, families[o.chain.Table.Family][0], o.chain.Table.Name, name, o.hint(name))
	}
}
