package machine

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vmsilo/generator/config"
)

// maxCommandLine is how long a command line may be, in bytes: what a kernel for x86 keeps, which is COMMAND_LINE_SIZE of
// arch/x86/include/asm/setup.h less its NUL, less what crosvm puts before it. The rest would be cut in silence.
const maxCommandLine = 2047 - len("panic=-1 console=ttyS0 ")

// endpoint is one interface of one machine.
type endpoint struct {
	m *Machine
	i Interface
}

func (e endpoint) String() string { return e.m.Name + ":" + e.i.Name }

// at returns where a key of the interface is written.
func (e endpoint) at(key ...string) config.Position {
	return e.m.At(append([]string{"network", "interfaces", e.i.Name}, key...)...)
}

// Check returns, by VM, what is wrong with machines though each value by itself is right: values of VMs that meet, of
// which each VM has an error that names the others, and command lines that are too long.
func Check(machines []*Machine) map[string][]config.Error {
	problems := map[string][]config.Error{}
	taps, macs := map[string][]endpoint{}, map[string][]endpoint{}
	var ranges []addressRange
	for _, m := range machines {
		if length := len(m.KernelCommandLine("ttyS0")); length > maxCommandLine {
			problems[m.Name] = append(problems[m.Name], config.Error{
				Position: m.At("kernel_params"),
				Message:  fmt.Sprintf("the kernel command line is %d bytes long, and a kernel has room for %d", length, maxCommandLine),
			})
		}
		for _, i := range m.Interfaces {
			e := endpoint{m, i}
			taps[i.TAP] = append(taps[i.TAP], e)
			macs[i.MAC] = append(macs[i.MAC], e)
			for _, prefix := range i.HostAddresses {
				ranges = append(ranges, addressRange{prefix.Masked(), e})
			}
		}
	}
	checkNetVMs(problems, machines)
	for name, bearers := range taps {
		sharing(problems, bearers, "TAP name "+name, "TAP names are NAME-INDEX, cut to 15 bytes: rename one of the VMs")
	}
	for mac, bearers := range macs {
		sharing(problems, bearers, "MAC address "+mac, `give one of them another "mac_address"`, "mac_address")
	}
	overlaps(problems, ranges)
	return problems
}

// sharing adds an error to each of several endpoints that have one value.
func sharing(problems map[string][]config.Error, bearers []endpoint, what, hint string, key ...string) {
	for n, e := range bearers {
		var others []string
		for other, o := range bearers {
			if other != n {
				others = append(others, o.String())
			}
		}
		if others == nil {
			continue
		}
		slices.Sort(others)
		problems[e.m.Name] = append(problems[e.m.Name], config.Error{
			Position: e.at(key...),
			Message:  fmt.Sprintf("%s of interface %q is also that of %s", what, e.i.Name, strings.Join(others, ", ")),
			Hint:     hint,
		})
	}
}

// addressRange is the network that the host reaches through an endpoint.
type addressRange struct {
	prefix netip.Prefix
	endpoint
}

// overlaps adds errors to endpoints whose networks meet: the host would reach one of them alone. Two prefixes meet
// when one holds the other; in order of their addresses, the wider first, what a prefix holds follows it.
func overlaps(problems map[string][]config.Error, ranges []addressRange) {
	slices.SortFunc(ranges, func(a, b addressRange) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()),
			strings.Compare(a.String(), b.String()))
	})
	report := func(a, b addressRange) {
		problems[a.m.Name] = append(problems[a.m.Name], config.Error{
			Position: a.at("host_address"),
			Message:  fmt.Sprintf("network %s of interface %q meets %s of %s", a.prefix, a.i.Name, b.prefix, b),
			Hint:     "give each interface a network of its own",
		})
	}
	for n, wider := range ranges {
		for _, r := range ranges[n+1:] {
			if !wider.prefix.Contains(r.prefix.Addr()) {
				break
			}
			report(wider, r)
			report(r, wider)
		}
	}
}
