package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// obstacle is a chain of somebody else's that drops what the host would forward for guests: whatever other chains let
// through, each has to let it through as well.
type obstacle struct {
	chain *nftables.Chain
	// beside are the names of the other chains of its table.
	beside []string
}

// obstacles finds chains that drop all that they do not know. Rules are not read: firewalld, which rejects by one, is
// known by the name of its table.
func obstacles() ([]obstacle, error) {
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
		forward := chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookForward && chain.Type == nftables.ChainTypeFilter
		drops := chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop || chain.Table.Name == "firewalld"
		switch chain.Table.Family {
		case nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet:
		default:
			continue
		}
		if forward && drops {
			found = append(found, obstacle{chain, beside(chains, chain)})
		}
	}
	return found, nil
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

// hint tells how whoever made the chain has a TAP's packets let through.
func (o obstacle) hint(tap string) string {
	program := families[o.chain.Table.Family][1]
	isUfw := func(name string) bool { return strings.HasPrefix(name, "ufw") }
	switch {
	case o.chain.Table.Name == "firewalld":
		return "firewall-cmd --zone=trusted --add-interface=" + tap
	case slices.Contains(o.beside, "DOCKER-USER"):
		return fmt.Sprintf("%s -I DOCKER-USER -i %s -j ACCEPT; %s -I DOCKER-USER -o %s -j ACCEPT", program, tap, program, tap)
	case slices.ContainsFunc(o.beside, isUfw):
		return "ufw route allow in on " + tap
	}
	return "let through there what comes from " + tap + " and what goes to it"
}

// bridgeFilter has the chains for what is forwarded see what bridges send from port to port, too: br_netfilter of the kernel.
const bridgeFilter = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// warn tells of each obstacle, for the journal and vmsilo why. The number is the level that the journal reads: a warning.
func (t *tap) warn(to io.Writer) {
	name := t.Name
	switch {
	case t.NAT:
	case t.private() && get(bridgeFilter) == "1":
		// To these chains, it is the bridge where packets come from and go to.
		name = t.Bridge
	default:
		return
	}
	found, err := obstacles()
	if err != nil {
		fmt.Fprintf(to, "<4>vmsilo-netdev: warning: looking for what stands in the way of %s: %v\n", name, err)
	}
	for _, o := range found {
		fmt.Fprintf(to, "<4>vmsilo-netdev: warning: chain %q of table \"%s %s\" may drop what %s sends and gets\n<4>hint: %s\n",
			o.chain.Name, families[o.chain.Table.Family][0], o.chain.Table.Name, name, o.hint(name))
	}
}
