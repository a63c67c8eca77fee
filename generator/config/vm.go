// Package config reads vmsilo's TOML files: it knows every key, checks every value by itself, and says
// where each error stands. It reads files and does nothing else.
package config

import "time"

// Host is what vmsilo.toml says about the whole host.
type Host struct {
	// User is the desktop user, a name or a decimal uid.
	User string
}

// VM is one VM as its file and the defaults describe it; all values are within their ranges.
type VM struct {
	Name        string
	Path        string
	ID          int
	Description string
	Autostart   bool
	Hypervisor  string
	// Memory is in bytes.
	Memory int64
	CPUs   int
	// Kernel, Initrd and Root are absolute paths.
	Kernel, Initrd, Root string
	KernelParams         []string
	Overlay              Overlay
	// SharedHome is the absolute path of the home on the host, or "" when there is none.
	SharedHome string
	// Interfaces are in byte order of their names.
	Interfaces []Interface
	// DependsOn names VMs that start before this one and stop after it. Each is configured, and none depends on this one.
	DependsOn []string
	// User owns the shares: a name or a decimal uid.
	User                      string
	StartTimeout, StopTimeout TimeSpan
	HypervisorArgs            []string

	root *Node
}

// Overlay is where writes to the shared root go.
type Overlay struct {
	// Type is "qcow2" or "tmpfs".
	Type string
	// Size is in bytes; it bounds a qcow2.
	Size int64
}

// Interface is one network interface of a VM.
type Interface struct {
	// Name is the interface's name in the guest.
	Name string
	// MAC is lower-case and colon-separated, or "" when it is to be derived.
	MAC string
	// HostAddress is a CIDR for the host's side, or "".
	HostAddress string
}

// TimeSpan is a time span of systemd.time(7).
type TimeSpan struct {
	// Text is the span as it was written.
	Text string
	// Duration is its length; Infinite says that it never ends.
	Duration time.Duration
	Infinite bool
}

// dependency returns where the nth name of depends_on is written.
func (vm *VM) dependency(n int) Position {
	return vm.root.table["depends_on"].items[n].value
}

// At returns where the value under the given keys is written, or where the nearest table around it is.
func (vm *VM) At(keys ...string) Position {
	n := vm.root
	for _, key := range keys {
		next := n.table[key]
		if next == nil {
			break
		}
		n = next
	}
	return n.value
}
