// Package graph turns machines into systemd units: drop-ins over the templates of units/, and symbolic links.
// What is the same for every VM stands in the templates.
package graph

import (
	"cmp"
	"iter"
	"path/filepath"
	"slices"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/paths"
)

// Graph is the units of every VM. Their files are made one VM at a time, and not kept.
type Graph struct {
	vms       []vm
	autostart bool
}

// vm is a VM, and what makes its files.
type vm struct {
	name  string
	files func() []File
}

// New returns the graph of machines, and of VMs that are broken, whose units refuse to start.
func New(machines []*machine.Machine, broken map[string]config.Broken) *Graph {
	g := &Graph{vms: make([]vm, 0, len(machines)+len(broken))}
	for _, m := range machines {
		g.add(m.VM, func() []File { return sound(m) })
	}
	for name, b := range broken {
		g.add(b.VM, func() []File { return []File{refused(name, b.Errors)} })
	}
	slices.SortFunc(g.vms, func(a, b vm) int { return cmp.Compare(a.name, b.name) })
	return g
}

// add adds a VM with what every VM has, and the files of its own.
func (g *Graph) add(v *config.VM, own func() []File) {
	g.autostart = g.autostart || v.Autostart
	g.vms = append(g.vms, vm{v.Name, func() []File {
		// The link makes the VM show in systemctl list-unit-files.
		files := append(own(), link(vmUnit(v.Name), "vmsilo@.service"))
		if v.Autostart {
			// A broken one, too: the boot's log then says so.
			files = append(files, link("vmsilo.target.wants/"+vmUnit(v.Name), "vmsilo@.service"))
		}
		return files
	}})
}

// Files yields every file, in an order that is always the same: first those that belong to no VM,
// then VM by VM in the order of their names, each VM's by path.
func (g *Graph) Files() iter.Seq[File] {
	return func(yield func(File) bool) {
		if !each(g.common(), yield) {
			return
		}
		for _, v := range g.vms {
			if !each(v.files(), yield) {
				return
			}
		}
	}
}

func each(files []File, yield func(File) bool) bool {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for _, f := range files {
		if !yield(f) {
			return false
		}
	}
	return true
}

// common returns the files that belong to no VM.
func (g *Graph) common() []File {
	files := []File{g.names(), mask("vmsilo-down@.service"), mask("vmsilo-lost@.service"), mask("vmsilo-idle@.service")}
	if g.autostart {
		files = append(files, link("multi-user.target.wants/vmsilo.target", "vmsilo.target"))
	}
	return files
}

// mask keeps the drop-in that all of a VM's services share away from a unit that has such a name and is no part of the
// VM: one that stops the VM must not be in the slice that is stopped. Of two files of one name, the one for fewer units
// counts. It is written here and not installed beside the templates, since systemd looks for all of them in the
// generator's folder before it looks in that one.
func mask(unit string) File {
	d := newDropin(unit)
	d.content = append(d.content, "# Nothing here, so that nothing of vmsilo-@.service.d holds for this unit.\n"...)
	return d.file()
}

// link returns a link to an installed unit.
func link(path, unit string) File {
	return File{Path: path, Target: filepath.Join(paths.Units, unit)}
}

func vmUnit(name string) string { return "vmsilo@" + name + ".service" }
