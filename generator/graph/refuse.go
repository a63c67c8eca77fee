package graph

import (
	"fmt"
	"strings"

	"vmsilo/generator/config"
)

const (
	// maxReasons is how many errors a unit tells; systemctl status shows some lines alone.
	maxReasons = 10
	// maxRefusal bounds their text in bytes: the kernel takes no variable and no argument of 128 KiB.
	maxRefusal = 64 << 10
	// maxNames is how many VMs a message names.
	maxNames = 100
)

// refused lets the first part of a VM, which everything else of it needs, fail with what is wrong.
func refused(name string, errs []config.Error) File {
	var reasons []string
	for _, e := range errs[:min(len(errs), maxReasons)] {
		reasons = append(reasons, e.Error())
	}
	if len(errs) > maxReasons {
		reasons = append(reasons, fmt.Sprintf("and %d more errors: vmsilo check prints all", len(errs)-maxReasons))
	}
	text := strings.Join(reasons, "\n")
	if len(text) > maxRefusal {
		text = strings.ToValidUTF8(text[:maxRefusal], "") + "…"
	}
	d := servicesOf(name)
	d.env("Service", "REFUSAL", text)
	return d.file()
}

// names tells the first part of a VM that is not configured which ones are. The file has a name of its own:
// it takes no other's place, and none takes its.
func (g *Graph) names() File {
	var text strings.Builder
	for n, v := range g.vms[:min(len(g.vms), maxNames)] {
		if n > 0 {
			text.WriteString(", ")
		}
		text.WriteString(v.name)
	}
	if len(g.vms) > maxNames {
		fmt.Fprintf(&text, " and %d more", len(g.vms)-maxNames)
	}
	d := newNamedDropin("vmsilo-user@.service", "40-vmsilo-names.conf")
	d.env("Service", "VMS", text.String())
	return d.file()
}
