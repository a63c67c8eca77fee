package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vmsilo/generator/config"
	"vmsilo/generator/graph"
	"vmsilo/generator/machine"
	"vmsilo/internal/started"
	"vmsilo/internal/vmunit"
	"vmsilo/vmm/known"
)

// configuration is what is configured, and what is at the paths that it names.
type configuration struct {
	vms map[string]*configured
	// errors are those of every file.
	errors []configError
	// images are the states of the VMs' files by path: internal/started. One that is not there is "", and hidden one that
	// this service may not look at.
	images map[string]string
	// paths are all those whose files make up the above.
	paths []string
}

// configured is a VM that is configured.
type configured struct {
	*machine.Machine
	// problem is what is wrong with its configuration, as vmsilo check prints it, or "".
	problem   string
	autostart bool
	// fingerprint returns that of the units that the generator would write now.
	fingerprint func() string
}

// configError is one error of the configuration, as org.vmsilo1.Manager has it.
type configError struct {
	File         string
	Line, Column uint32
	Message      string
}

// wants are where systemctl enable, or somebody's own hand, has the boot start VMs.
var wants = []string{"/etc/systemd/system/vmsilo.target.wants", "/run/systemd/system/vmsilo.target.wants"}

// read reads the configuration in folders, as the generator does.
func read(folders []string) *configuration {
	loaded := config.Load(folders, known.Hypervisors())
	sound := machine.All(loaded)
	c := &configuration{vms: map[string]*configured{}, images: map[string]string{}}
	for _, e := range loaded.Errors() {
		line, column := e.LineColumn()
		c.errors = append(c.errors, configError{e.File.Path, uint32(line), uint32(column), e.Message})
	}
	for _, m := range sound {
		c.add(m, "", func() string { return graph.Fingerprint(m) })
	}
	for name, broken := range loaded.Broken {
		var lines []string
		for _, e := range broken.Errors {
			lines = append(lines, e.Error())
		}
		// Its units refuse to start, and are no other's.
		c.add(machine.New(broken.VM), strings.Join(lines, "\n"), func() string { return "broken " + name })
	}
	for _, folder := range append(slices.Clone(folders), wants...) {
		c.paths = append(c.paths, filepath.Join(folder, "*"))
	}
	return c
}

func (c *configuration) add(m *machine.Machine, problem string, fingerprint func() string) {
	c.vms[m.Name] = &configured{m, problem, m.Autostart || isWanted(m.Name), sync.OnceValue(fingerprint)}
	c.paths = append(c.paths, m.Path)
	for _, path := range imageFiles(m) {
		if _, seen := c.images[path]; seen || path == "" {
			continue
		}
		state, err := started.State(path)
		if errors.Is(err, os.ErrPermission) {
			state = hidden
		}
		c.images[path] = state
		c.paths = append(c.paths, path)
	}
}

const hidden = "hidden"

// imageFiles returns the paths of a VM's image by what the files are to it.
func imageFiles(m *machine.Machine) map[string]string {
	return map[string]string{"kernel": m.Kernel, "initrd": m.Initrd, "root": m.Root}
}

func isWanted(vm string) bool {
	return slices.ContainsFunc(wants, func(folder string) bool {
		_, err := os.Lstat(filepath.Join(folder, vmunit.Of(vm)))
		return err == nil
	})
}

// configChanged tells whether a VM that runs was started with another configuration. What an earlier version has started
// left no record, and is told by nothing.
func (c *configuration) configChanged(vm string, with *started.Record) bool {
	now := c.vms[vm]
	return with != nil && (now == nil || now.fingerprint() != with.Config)
}

// imageChanged tells whether a VM that runs was started with other files than those that its next start would find. A file
// that may not be looked at is taken for the same.
func (c *configuration) imageChanged(vm string, with *started.Record) bool {
	now := c.vms[vm]
	if with == nil || now == nil {
		return false
	}
	for what, path := range imageFiles(now.Machine) {
		if state := c.images[path]; state != hidden && state != with.Files[what] {
			return true
		}
	}
	return false
}

// addresses returns what the guest's interfaces have as far as it is configured, and else the host's sides of them; without
// the lengths of their prefixes.
func (c *configured) addresses() []string {
	all := []string{}
	if c.problem != "" {
		return all
	}
	for _, i := range c.Interfaces {
		for _, text := range i.Addresses {
			all = append(all, netip.MustParsePrefix(text).Addr().String())
		}
		if len(i.Addresses) > 0 {
			continue
		}
		for _, host := range i.HostAddresses {
			all = append(all, host.Addr().String())
		}
	}
	return all
}
