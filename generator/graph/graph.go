// Package graph turns machines into systemd units: drop-ins over the templates of units/, and symbolic links.
// What is the same for every VM stands in the templates.
package graph

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// Build returns every file of the graph in the order of their paths.
func Build(machines []*machine.Machine, broken map[string]config.Broken) []File {
	var files []File
	names := slices.Collect(maps.Keys(broken))
	for _, m := range machines {
		names = append(names, m.Name)
		files = append(files, vmFiles(m)...)
	}
	for name, b := range broken {
		files = append(files, listed(name), refused(name, b.Errors))
		files = append(files, autostart(b.VM)...)
	}
	slices.Sort(names)
	return sorted(append(files, unknown(names)))
}

// autostart makes the boot want a VM that asks for it; one that is broken then says so.
func autostart(vm config.VM) []File {
	if !vm.Autostart {
		return nil
	}
	return []File{
		{Path: "multi-user.target.wants/vmsilo.target", Target: template("vmsilo.target")},
		{Path: filepath.Join("vmsilo.target.wants", vmUnit(vm.Name)), Target: template("vmsilo@.service")},
	}
}

// vmFiles returns the files of one VM.
func vmFiles(m *machine.Machine) []File {
	parts := parts(m)
	files := []File{listed(m.Name), vmService(m, parts)}
	for _, p := range parts {
		for _, d := range p.dropins {
			files = append(files, d.file())
		}
	}
	return append(files, autostart(m.VM)...)
}

func vmUnit(name string) string { return "vmsilo@" + name + ".service" }

func template(name string) string { return filepath.Join(paths.Units, name) }

// listed makes a VM show in systemctl list-unit-files.
func listed(name string) File {
	return File{Path: vmUnit(name), Target: template("vmsilo@.service")}
}

// maxReasons is how many errors a unit tells; systemctl status shows some lines alone.
const maxReasons = 10

// refused lets the first part of a VM, which everything else of it needs, fail with what is wrong.
func refused(name string, errs []config.Error) File {
	words := []string{paths.Helper("vmsilo-refuse")}
	for _, e := range errs[:min(len(errs), maxReasons)] {
		words = append(words, e.Error())
	}
	if len(errs) > maxReasons {
		words = append(words, fmt.Sprintf("and %d more errors: vmsilo-generator --check prints all", len(errs)-maxReasons))
	}
	d := newDropin("vmsilo-user@" + name + ".service")
	d.exec("Service", "ExecStart", words)
	return d.file()
}

// maxNames is how many VMs a message names.
const maxNames = 100

// unknown lets the first part of a VM that is not configured fail, naming those that are.
func unknown(names []string) File {
	known := "; none is configured"
	if len(names) > 0 {
		known = "; there are: " + strings.Join(names[:min(len(names), maxNames)], ", ")
	}
	if len(names) > maxNames {
		known += fmt.Sprintf(" and %d more", len(names)-maxNames)
	}
	d := newDropin("vmsilo-user@.service")
	// A name that was mistyped is not listed among the failed units for ever.
	d.set("Unit", "CollectMode", "inactive-or-failed")
	d.set("Service", "ExecStart", "")
	// The specifier is meant to be one: it is the name that was asked for. Names need no quoting.
	d.set("Service", "ExecStart", paths.Helper("vmsilo-refuse")+` "no VM is named %i`+known+`"`)
	return d.file()
}
