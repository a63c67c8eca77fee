package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"vmsilo/internal/paths"
)

const (
	managerInterface = busName + ".Manager"
	objectManager    = "org.freedesktop.DBus.ObjectManager"
	// root is the path of the manager, and those of VMs are below vms.
	root = dbus.ObjectPath("/org/vmsilo1")
	vms  = root + "/vm"
)

var managerProperties = []property[*service]{
	{name: "Version", signature: "s", constant: true, value: func(*service) any { return paths.Version }},
	{name: "Errors", signature: "a(suus)", value: func(s *service) any { return append([]configError{}, s.config.errors...) }},
}

// get returns the nth property of the manager, and all returns all.
func (s *service) get(n int) dbus.Variant { return s.values[n] }

func (s *service) all() (dict, error) {
	return newDict(entriesOf(managerProperties, s.get, func(property[*service]) bool { return true }))
}

// pathOf returns the path of a VM's object: what is no letter or digit is _ and its number, as systemd has it.
func pathOf(vm string) dbus.ObjectPath {
	return vms + "/" + dbus.ObjectPath(strings.ReplaceAll(vm, "-", "_2d"))
}

// vmAt returns the VM at a path, or nil. No name has a _, and no path a -.
func (s *service) vmAt(path dbus.ObjectPath) *vm {
	escaped, ok := strings.CutPrefix(string(path), string(vms)+"/")
	if !ok {
		return nil
	}
	return s.vms[strings.ReplaceAll(escaped, "_2d", "-")]
}

// listedVM is a VM in the answer of ListVMs.
type listedVM struct {
	Name, ActiveState string
	Path              dbus.ObjectPath
}

func (s *service) listVMs() []listedVM {
	all := []listedVM{}
	for _, name := range s.names() {
		all = append(all, listedVM{name, s.vms[name].view.unit.active, s.vms[name].path})
	}
	return all
}

func (s *service) names() []string { return slices.Sorted(maps.Keys(s.vms)) }

// managed returns what the object manager manages.
func (s *service) managed() map[dbus.ObjectPath]map[string]map[string]dbus.Variant {
	all := map[dbus.ObjectPath]map[string]map[string]dbus.Variant{}
	for _, o := range s.vms {
		all[o.path] = o.interfaces()
	}
	return all
}

func (s *service) getVM(vm string) (dbus.ObjectPath, *dbus.Error) {
	if found := s.vms[vm]; found != nil {
		return found.path, nil
	}
	return "", failure(busName+".Error.NoSuchVM", "no VM is named %s", brief(vm))
}

func (s *service) subscribe(who string) *dbus.Error {
	if s.subscribers[who] {
		return failure(busName+".Error.AlreadySubscribed", "%s has subscribed already", who)
	}
	s.subscribers[who] = true
	return nil
}

func (s *service) unsubscribe(who string) *dbus.Error {
	if !s.subscribers[who] {
		return failure(busName+".Error.NotSubscribed", "%s has not subscribed", who)
	}
	delete(s.subscribers, who)
	return nil
}

// emit sends a signal, once all is known: what the service finds when it comes is no change.
func (s *service) emit(path dbus.ObjectPath, iface, member string, body ...any) {
	if s.known {
		s.bus.emit(path, iface, member, body...)
	}
}

func (s *service) emitChanges(path dbus.ObjectPath, iface string, changed map[string]dbus.Variant) {
	if len(changed) > 0 {
		s.emit(path, properties, "PropertiesChanged", iface, changed, []string{})
	}
}

// refreshManager brings the properties of the manager up to date, and tells what is new.
func (s *service) refreshManager() {
	before := s.values
	s.values = kept(managerProperties, s)
	if before != nil {
		s.emitChanges(root, managerInterface, changes(managerProperties, before, s.values))
	}
}
