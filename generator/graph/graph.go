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
	user      string
	autostart bool
}

// vm is a VM, and what makes its files.
type vm struct {
	name  string
	sound bool
	files func() []File
}

// New returns the graph of machines, and of VMs that are broken, whose units refuse to start. user is whose VMs are that
// do not say otherwise.
func New(machines []*machine.Machine, broken map[string]config.Broken, user string) *Graph {
	g := &Graph{user: user, vms: make([]vm, 0, len(machines)+len(broken))}
	for _, m := range machines {
		g.add(m.VM, true, func() []File { return sound(m, user) })
	}
	for name, b := range broken {
		g.add(b.VM, false, func() []File { return []File{refused(name, b.Errors)} })
	}
	slices.SortFunc(g.vms, func(a, b vm) int { return cmp.Compare(a.name, b.name) })
	return g
}

// add adds a VM with what every VM has, and the files of its own.
func (g *Graph) add(v *config.VM, isSound bool, own func() []File) {
	g.autostart = g.autostart || v.Autostart
	g.vms = append(g.vms, vm{v.Name, isSound, func() []File {
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
	files := []File{g.names(), mask("vmsilo-down@.service"), mask("vmsilo-lost@.service"), mask("vmsilo-idle@.service"), mask("vmsilo-run@.service")}
	if g.autostart {
		files = append(files, link("multi-user.target.wants/vmsilo.target", "vmsilo.target"))
	}
	return append(files, g.onDemand()...)
}

// onDemand returns the drop-ins by which the socket of every VM that can be built listens. A target that is up has what
// it upholds started whenever that is not, and so after the reload that brought it; what it wants, only when it starts.
// A VM that is broken keeps a socket that is there by now.
func (g *Graph) onDemand() []File {
	sockets := newDropin(socketsTarget)
	for _, v := range g.vms {
		if v.sound {
			sockets.set("Unit", "Upholds", "vmsilo-run@"+v.name+".socket")
		}
	}
	if sockets.section == "" {
		return nil
	}
	boot := newDropin("multi-user.target")
	boot.set("Unit", "Upholds", socketsTarget)
	return []File{sockets.file(), boot.file(), runSocket("", g.user)}
}

// runSocket returns the drop-in of one VM's socket, or of all of them. It takes the place of the one that all sockets of a
// VM share, as a mask does, and so has what is needed of that.
func runSocket(vm, user string) File {
	d := newDropin("vmsilo-run@" + vm + ".socket")
	d.env("Socket", "VM_USER", user)
	return d.file()
}

const socketsTarget = "vmsilo-sockets.target"

// mask keeps the drop-in that all of a VM's services share away from a unit that has such a name and is no part of the
// VM. One that stops the VM must not be in the slice that is stopped, and one that a reload loads for every VM, as it does
// what carries connections, would have all of these slices loaded, which doubles its time. Of two files of one name, the one for fewer units
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
