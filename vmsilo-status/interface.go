package main

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
)

// iface is an interface of an object: what introspection says, and what answers.
type iface struct {
	name       string
	methods    map[string]method
	properties []described
	says       introspect.Interface
}

// described is what is told of a property.
type described struct{ name, signature, emits string }

// tables are the interfaces of objects: of the manager, of VMs, and of what is on the way to them.
type tables struct{ manager, vm, way []iface }

func newTables() tables {
	own := append(slices.Clone(common()), propertiesInterface())
	return tables{
		manager: append(slices.Clone(own), objectManagerInterface(), managerOwnInterface()),
		vm:      append(slices.Clone(own), newInterface(vmInterface, describe(vmProperties), nil)),
		way:     common(),
	}
}

// common returns the interfaces of every object.
func common() []iface {
	return []iface{
		newInterface(peer, nil, nil,
			does("Ping", "", nil, func(*service, object, call) ([]any, *dbus.Error) { return nil, nil }),
			does("GetMachineId", "", args("machine_uuid", "s"), func(*service, object, call) ([]any, *dbus.Error) {
				id, err := machineID()
				return []any{id}, err
			})),
		newInterface(introspectable, nil, nil,
			does("Introspect", "", args("xml_data", "s"), func(s *service, o object, _ call) ([]any, *dbus.Error) {
				return []any{s.introspect(o)}, nil
			})),
	}
}

func propertiesInterface() iface {
	signals := []introspect.Signal{{Name: "PropertiesChanged", Args: args(
		"interface_name", "s", "changed_properties", "a{sv}", "invalidated_properties", "as")}}
	return newInterface(properties, nil, signals,
		does("Get", "ss", args("interface_name", "s", "property_name", "s", "value", "v"),
			func(_ *service, o object, c call) ([]any, *dbus.Error) {
				value, err := o.getOne(c.args[0], c.args[1])
				return []any{value}, err
			}),
		does("GetAll", "s", args("interface_name", "s", "props", "a{sv}"),
			func(_ *service, o object, c call) ([]any, *dbus.Error) {
				values, err := o.getAll(c.args[0])
				return []any{values}, err
			}),
		does("Set", "ssv", args("interface_name", "s", "property_name", "s", "value", "v"),
			func(_ *service, o object, c call) ([]any, *dbus.Error) {
				return nil, o.set(c.args[0], c.args[1])
			}))
}

func objectManagerInterface() iface {
	signals := []introspect.Signal{
		{Name: "InterfacesAdded", Args: args("object_path", "o", "interfaces_and_properties", "a{sa{sv}}")},
		{Name: "InterfacesRemoved", Args: args("object_path", "o", "interfaces", "as")},
	}
	return newInterface(objectManager, nil, signals,
		does("GetManagedObjects", "", args("object_paths_interfaces_and_properties", "a{oa{sa{sv}}}"),
			func(s *service, _ object, _ call) ([]any, *dbus.Error) { return []any{s.managed()}, nil }))
}

func managerOwnInterface() iface {
	return newInterface(managerInterface, describe(managerProperties), nil,
		does("ListVMs", "", args("vms", "a(sso)"),
			func(s *service, _ object, _ call) ([]any, *dbus.Error) { return []any{s.listVMs()}, nil }),
		does("GetVM", "s", args("name", "s", "vm", "o"),
			func(s *service, _ object, c call) ([]any, *dbus.Error) {
				path, err := s.getVM(c.args[0])
				return []any{path}, err
			}),
		does("Subscribe", "", nil, func(s *service, _ object, c call) ([]any, *dbus.Error) {
			return nil, s.subscribe(c.by)
		}),
		does("Unsubscribe", "", nil, func(s *service, _ object, c call) ([]any, *dbus.Error) {
			return nil, s.unsubscribe(c.by)
		}))
}

// named is a method with its name, and what introspection says of it.
type named struct {
	name string
	method
	args []introspect.Arg
}

// does is a method that takes as many of the arguments as its signature has, each of one letter, and returns the others.
func does(name, takes string, all []introspect.Arg, call func(*service, object, call) ([]any, *dbus.Error)) named {
	for n := range all {
		all[n].Direction = "out"
		if n < len(takes) {
			all[n].Direction = "in"
		}
	}
	return named{name, method{takes, call}, all}
}

// args are arguments, each a name and a signature.
func args(words ...string) (all []introspect.Arg) {
	for pair := range slices.Chunk(words, 2) {
		all = append(all, introspect.Arg{Name: pair[0], Type: pair[1]})
	}
	return all
}

func newInterface(name string, properties []described, signals []introspect.Signal, methods ...named) iface {
	i := iface{name: name, methods: map[string]method{}, properties: properties}
	i.says = introspect.Interface{Name: name, Signals: signals}
	for _, m := range methods {
		i.methods[m.name] = m.method
		i.says.Methods = append(i.says.Methods, introspect.Method{Name: m.name, Args: m.args})
	}
	for _, p := range properties {
		i.says.Properties = append(i.says.Properties, introspect.Property{
			Name: p.name, Type: p.signature, Access: "read",
			Annotations: []introspect.Annotation{{Name: "org.freedesktop.DBus.Property.EmitsChangedSignal", Value: p.emits}},
		})
	}
	return i
}

func describe[T any](properties []property[T]) (all []described) {
	for _, p := range properties {
		emits := "true"
		switch {
		case p.live:
			emits = "false"
		case p.constant:
			emits = "const"
		}
		all = append(all, described{p.name, p.signature, emits})
	}
	return all
}

// introspect returns what there is at an object, and below it.
func (s *service) introspect(o object) string {
	node := introspect.Node{}
	for _, i := range o.interfaces {
		node.Interfaces = append(node.Interfaces, i.says)
	}
	for _, child := range s.below(o.path) {
		node.Children = append(node.Children, introspect.Node{Name: child})
	}
	text, err := xml.MarshalIndent(node, "", " ")
	if err != nil {
		// Nothing but the names of VMs is not constant.
		panic(err)
	}
	return introspectHeader + string(text) + "\n"
}

// introspectHeader is the document's type: "Introspection Data Format" of the D-Bus specification.
const introspectHeader = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
`

// below returns the elements of paths that follow a path.
func (s *service) below(path dbus.ObjectPath) (names []string) {
	if path == vms {
		for _, vm := range s.names() {
			names = append(names, strings.TrimPrefix(string(s.vms[vm].path), string(vms)+"/"))
		}
		return names
	}
	if rest, ok := strings.CutPrefix(string(vms), strings.TrimSuffix(string(path), "/")+"/"); ok {
		first, _, _ := strings.Cut(rest, "/")
		return []string{first}
	}
	return nil
}
