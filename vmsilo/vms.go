package main

import (
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/accounts"
	"vmsilo/internal/command"
	"vmsilo/vmm/known"
)

// configured is the configuration, and those of its VMs that are sound.
type configured struct {
	*config.Config
	sound map[string]*machine.Machine
}

func readConfig() configured {
	c := configured{config.Load(config.Path(), known.Hypervisors()), map[string]*machine.Machine{}}
	for _, m := range machine.All(c.Config) {
		c.sound[m.Name] = m
	}
	return c
}

// names returns the names of all VMs, broken ones included.
func (c configured) names() []string {
	return slices.Sorted(maps.Keys(c.vms()))
}

// vms returns all VMs by name, broken ones as far as they could be read.
func (c configured) vms() map[string]*config.VM {
	all := map[string]*config.VM{}
	for vm := range c.All() {
		all[vm.Name] = vm
	}
	return all
}

// has reports whether a VM is configured, be it well or not.
func (c configured) has(name string) bool { return c.vms()[name] != nil }

// maxNames is how many VMs a message names.
const maxNames = 20

// unknown returns the error for a name that no VM has.
func (c configured) unknown(name string) error {
	names := c.names()
	hint := "none is configured: man vmsilo.toml"
	if near := config.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	} else if len(names) > maxNames {
		hint = "to see all: vmsilo list"
	} else if len(names) > 0 {
		hint = "there are: " + strings.Join(names, ", ")
	}
	return command.Errorf(hint, "no VM is named %q", name)
}

// mayHave reports whether a VM is configured as far as who asks may know.
func (c configured) mayHave(name string) bool {
	return c.has(name) || slices.ContainsFunc(c.Errors(), func(e config.Error) bool { return e.File.Denied })
}

// errorsOf returns what is wrong with the configuration of a VM as vmsilo check prints it, or "". What who asks may not read
// is not wrong for that.
func (c configured) errorsOf(name string) string {
	var lines []string
	for _, e := range c.Broken[name].Errors {
		if !e.File.Denied {
			lines = append(lines, e.Error())
		}
	}
	return strings.Join(lines, "\n")
}

// isOthers reports whether a VM belongs to somebody else than who asks, and this is not root. What is not known is not so:
// the host knows.
func (c configured) isOthers(name string) bool {
	vm := c.vms()[name]
	if vm == nil {
		return false
	}
	uid, err := strconv.Atoi(vm.User)
	if err != nil {
		uid, _, err = accounts.User(vm.User)
	}
	return err == nil && os.Getuid() != 0 && os.Getuid() != uid
}

// owner returns the name of the user whom a VM belongs to.
func (c configured) owner(name string) string {
	vm := c.vms()[name]
	if vm == nil || vm.User == "" {
		return "another user"
	}
	if found, err := user.LookupId(vm.User); err == nil {
		return "user " + found.Username
	}
	return "user " + vm.User
}
