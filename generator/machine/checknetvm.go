package machine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vmsilo/generator/config"
)

// checkNetVMs finds interfaces that would not reach their netvm, or somebody else's: addresses that it has no way to, gateways
// that it is not, and bridges of netvms that somebody else would be a port of; and two of one address on any bridge.
func checkNetVMs(problems map[string][]config.Error, machines []*Machine) {
	bridges, bearers := map[string][]endpoint{}, map[string][]endpoint{}
	for _, m := range machines {
		for _, i := range m.Interfaces {
			e := endpoint{m, i}
			if i.Router {
				bridges[i.Bridge] = append(bridges[i.Bridge], e)
			}
			for _, a := range i.Addresses {
				if i.Bridge != "" && !i.Router {
					key := i.Bridge + " " + netip.MustParsePrefix(a).Addr().String()
					bearers[key] = append(bearers[key], e)
				}
			}
			if errs := e.checkClient(); errs != nil {
				problems[m.Name] = append(problems[m.Name], errs...)
			}
		}
	}
	for key, sharers := range bearers {
		_, address, _ := strings.Cut(key, " ")
		sharing(problems, sharers, "address "+address, "VMs of one bridge, or of one netvm, need addresses of their own", "addresses")
	}
	for bridge, netvms := range bridges {
		sharing(problems, netvms, "bridge "+bridge, "bridges of netvms are NAME-br, cut to 15 bytes: rename one of the VMs")
	}
	for _, m := range machines {
		for _, i := range m.Interfaces {
			if owners := bridges[i.Bridge]; owners != nil && !i.Router && i.NetVM == "" {
				problems[m.Name] = append(problems[m.Name], config.Error{
					Position: endpoint{m, i}.at("bridge"),
					Message:  fmt.Sprintf("bridge %q is that of netvm %q and its clients", i.Bridge, owners[0].m.Name),
					Hint:     fmt.Sprintf("netvm = %q makes this VM one of them", owners[0].m.Name),
				})
			}
		}
	}
}

// checkClient finds addresses that an interface's netvm has no way to, and gateways that it is not.
func (e endpoint) checkClient() (errs []config.Error) {
	// Without an id the netvm has errors of its own.
	if e.i.NetVM == "" || e.i.NetVMID == 0 {
		return nil
	}
	netvm := atNetVM(e.m.Subnets, e.i.NetVMID)
	for _, a := range e.i.Addresses {
		address := netip.MustParsePrefix(a).Addr()
		if slices.Contains(netvm, address) {
			errs = append(errs, config.Error{
				Position: e.at("addresses"),
				Message:  fmt.Sprintf("%s is the address of netvm %q", address, e.i.NetVM),
			})
		}
		if !slices.ContainsFunc(e.m.Subnets, func(s netip.Prefix) bool { return s.Contains(address) }) {
			errs = append(errs, config.Error{
				Position: e.at("addresses"),
				Message:  fmt.Sprintf("netvm %q has no way to %s: its clients are in %s", e.i.NetVM, a, texts(e.m.Subnets)),
				Hint:     `take "addresses" out and have them chosen, or see "subnet" in vmsilo.toml`,
			})
		}
	}
	for _, g := range e.i.Gateways {
		if !slices.Contains(netvm, netip.MustParseAddr(g)) {
			errs = append(errs, config.Error{
				Position: e.at("gateway"),
				Message:  fmt.Sprintf("gateway %s is not netvm %q, which is at %s", g, e.i.NetVM, texts(netvm)),
				Hint:     "take it out",
			})
		}
	}
	return errs
}

func texts[T fmt.Stringer](all []T) string {
	words := make([]string, len(all))
	for n, each := range all {
		words[n] = each.String()
	}
	return strings.Join(words, ", ")
}
