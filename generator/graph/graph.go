// Package graph turns machines into systemd units: drop-ins over the templates of units/, and symbolic links.
// What is the same for every VM stands in the templates.
package graph

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// Build returns every file of the graph in the order of their paths.
func Build(machines []*machine.Machine, broken map[string][]config.Error) []File {
	var files []File
	names := slices.Collect(maps.Keys(broken))
	for _, m := range machines {
		names = append(names, m.Name)
		files = append(files, vmFiles(m)...)
	}
	for name, errs := range broken {
		files = append(files, listed(name), refused(name, errs))
	}
	slices.Sort(names)
	return sorted(append(files, unknown(names)))
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
	if m.Autostart {
		files = append(files,
			File{Path: "multi-user.target.wants/vmsilo.target", Target: template("vmsilo.target")},
			File{Path: filepath.Join("vmsilo.target.wants", vmUnit(m.Name)), Target: template("vmsilo@.service")},
		)
	}
	return files
}

func vmUnit(name string) string { return "vmsilo@" + name + ".service" }

func template(name string) string { return filepath.Join(paths.Units, name) }

// listed makes a VM show in systemctl list-unit-files.
func listed(name string) File {
	return File{Path: vmUnit(name), Target: template("vmsilo@.service")}
}

// refused lets the first part of a VM, which everything else of it needs, fail with what is wrong.
func refused(name string, errs []config.Error) File {
	words := []string{paths.Helper("vmsilo-refuse")}
	for _, e := range errs {
		words = append(words, e.Error())
	}
	d := newDropin("vmsilo-user@" + name + ".service")
	d.exec("Service", "ExecStart", words)
	return d.file()
}

// unknown lets the first part of a VM that is not configured fail, naming those that are.
func unknown(names []string) File {
	known := "; none is configured"
	if len(names) > 0 {
		known = "; there are: " + strings.Join(names, ", ")
	}
	d := newDropin("vmsilo-user@.service")
	// A name that was mistyped is not listed among the failed units for ever.
	d.set("Unit", "CollectMode", "inactive-or-failed")
	d.set("Service", "ExecStart", "")
	// The specifier is meant to be one: it is the name that was asked for. Names need no quoting.
	d.set("Service", "ExecStart", paths.Helper("vmsilo-refuse")+` "no VM is named %i`+known+`"`)
	return d.file()
}
