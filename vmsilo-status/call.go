package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Names of the D-Bus specification, under "Standard Interfaces"; the errors are those that systemd's services use.
const (
	introspectable = "org.freedesktop.DBus.Introspectable"
	peer           = "org.freedesktop.DBus.Peer"

	unknownObject    = "org.freedesktop.DBus.Error.UnknownObject"
	unknownInterface = "org.freedesktop.DBus.Error.UnknownInterface"
	unknownMethod    = "org.freedesktop.DBus.Error.UnknownMethod"
	unknownProperty  = "org.freedesktop.DBus.Error.UnknownProperty"
	readOnly         = "org.freedesktop.DBus.Error.PropertyReadOnly"
	invalidArgs      = "org.freedesktop.DBus.Error.InvalidArgs"
)

// object is what answers at a path: the manager, a VM, or what is on the way to them. get returns the value of the nth of its
// properties, which are all of one interface, and all those of all of them.
type object struct {
	path       dbus.ObjectPath
	interfaces []iface
	get        func(n int) dbus.Variant
	all        func() (dict, error)
}

// method is a method: what it takes, as a signature, and what answers.
type method struct {
	takes string
	call  func(s *service, o object, c call) ([]any, *dbus.Error)
}

// call is what a method takes of a call: its strings, which come before anything else, and the unique name of the caller.
type call struct {
	args []string
	by   string
}

// answer answers a call.
func (s *service) answer(m *message) ([]any, *dbus.Error) {
	o, ok := s.objectAt(dbus.ObjectPath(m.path))
	if !ok {
		return nil, failure(unknownObject, "there is no object %s", brief(m.path))
	}
	interfaces, err := o.named(m.iface)
	if err != nil {
		return nil, err
	}
	n := slices.IndexFunc(interfaces, func(i iface) bool { return i.methods[m.member].call != nil })
	if n < 0 {
		return nil, failure(unknownMethod, "object %s has no method %s of that interface", m.path, brief(m.member))
	}
	found := interfaces[n].methods[m.member]
	if m.signature != found.takes {
		return nil, failure(invalidArgs, "%s takes %q, and got %s", m.member, found.takes, brief(m.signature))
	}
	args, ok := m.strings(strings.Count(found.takes, "s"))
	if !ok {
		return nil, failure(invalidArgs, "the arguments of %s are not what their signature says, or longer than %d bytes", m.member, maxArguments)
	}
	return found.call(s, o, call{args, m.sender})
}

// objectAt returns what is at a path.
func (s *service) objectAt(path dbus.ObjectPath) (object, bool) {
	switch found := s.vmAt(path); {
	case path == root:
		return object{path, s.tables.manager, s.get, s.all}, true
	case found != nil:
		return object{path, s.tables.vm, found.get, found.all}, true
	case path == "/", path == vms, strings.HasPrefix(string(root), string(path)+"/"):
		return object{path, s.tables.way, nil, nil}, true
	}
	return object{}, false
}

// named returns the interfaces of that name, or all when it is "".
func (o object) named(name string) ([]iface, *dbus.Error) {
	if name == "" {
		return o.interfaces, nil
	}
	n := slices.IndexFunc(o.interfaces, func(i iface) bool { return i.name == name })
	if n < 0 {
		return nil, failure(unknownInterface, "object %s has no interface %s", o.path, brief(name))
	}
	return o.interfaces[n : n+1], nil
}

// getAll returns the properties of an interface.
func (o object) getAll(name string) (dict, *dbus.Error) {
	found, err := o.named(name)
	if err != nil {
		return nil, err
	}
	all := func() (dict, error) { return newDict(nil) }
	for _, of := range found {
		if len(of.properties) > 0 {
			all = o.all
		}
	}
	values, problem := all()
	if problem != nil {
		return nil, dbus.MakeFailedError(problem)
	}
	return values, nil
}

// getOne returns one property.
func (o object) getOne(name, property string) (dbus.Variant, *dbus.Error) {
	found, err := o.named(name)
	for _, of := range found {
		for n, p := range of.properties {
			if p.name == property {
				return o.get(n), nil
			}
		}
	}
	if err == nil {
		err = failure(unknownProperty, "object %s has no property %s of that interface", o.path, brief(property))
	}
	return dbus.Variant{}, err
}

// set refuses: whoever wants to change something talks to systemd.
func (o object) set(iface, property string) *dbus.Error {
	if _, err := o.getOne(iface, property); err != nil {
		return err
	}
	return failure(readOnly, "property %s can be read alone", property)
}

// failure is an error of D-Bus.
func failure(name, format string, args ...any) *dbus.Error {
	return dbus.NewError(name, []any{fmt.Sprintf(format, args...)})
}

// maxQuoted is how much of what a caller has sent is in an answer, in bytes.
const maxQuoted = 100

// brief quotes what a caller has sent.
func brief(text string) string {
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return strconv.Quote(text)
}

// machineID returns the machine's name: machine-id(5).
func machineID() (string, *dbus.Error) {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return "", dbus.MakeFailedError(err)
	}
	return strings.TrimSpace(string(id)), nil
}
