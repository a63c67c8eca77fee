package main

import (
	"cmp"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/started"
	"vmsilo/internal/vmunit"
)

// vm is the object of a VM.
type vm struct {
	path dbus.ObjectPath
	// values are those of its properties, in the order of vmProperties; what is not kept is empty.
	values []dbus.Variant
	view   *view
	// kept are the values as GetAll has them, or nil before somebody has asked.
	kept dict
}

// view is all that the properties of a VM are made of.
type view struct {
	name string
	// conf is what is configured; of a VM that runs without that, it is empty.
	conf   *configured
	unit   unit
	state  string
	since  uint64
	config *configuration
	// record is what it was started with, when it runs.
	record *started.Record
}

// The structures of the properties, as org.vmsilo1(7) has them.
type (
	networkInterface struct {
		Name, TAP, MAC string
		Index          uint32
		HostAddress    string
	}
	share struct {
		Tag, Source, Target string
		ReadOnly            bool
	}
	overlay struct {
		Type            string
		Size, Allocated uint64
		Path            string
	}
)

// property is a property of an interface. One that is constant never changes; one that is live is read when it is asked for, and
// nothing tells of its changes.
type property[T any] struct {
	name, signature string
	value           func(T) any
	constant, live  bool
}

const vmInterface = busName + ".VM"

var vmProperties = []property[*view]{
	{name: "Name", signature: "s", constant: true, value: func(v *view) any { return v.name }},
	{name: "Id", signature: "u", value: func(v *view) any { return uint32(v.conf.ID) }},
	{name: "Description", signature: "s", value: func(v *view) any { return v.conf.Description }},
	{name: "Color", signature: "s", value: func(v *view) any { return v.conf.Color }},
	{name: "Hypervisor", signature: "s", value: func(v *view) any { return v.conf.Hypervisor }},
	{name: "Autostart", signature: "b", value: func(v *view) any { return v.conf.autostart }},
	{name: "ConfigPath", signature: "s", value: func(v *view) any { return v.conf.Path }},
	{name: "ConfigError", signature: "s", value: func(v *view) any { return v.conf.problem }},
	{name: "ConfigChanged", signature: "b", value: func(v *view) any { return v.config.configChanged(v.name, v.record) }},
	{name: "ImageChanged", signature: "b", value: func(v *view) any { return v.config.imageChanged(v.name, v.record) }},
	{name: "Unit", signature: "s", constant: true, value: func(v *view) any { return vmunit.Of(v.name) }},
	{name: "ActiveState", signature: "s", value: func(v *view) any { return v.unit.active }},
	{name: "SubState", signature: "s", value: func(v *view) any { return v.unit.sub }},
	{name: "State", signature: "s", value: func(v *view) any { return v.state }},
	{name: "StateTimestamp", signature: "t", value: func(v *view) any { return v.since }},
	{name: "Ready", signature: "b", value: func(v *view) any { return v.state == "running" || v.state == "paused" }},
	{name: "MainPID", signature: "u", value: func(v *view) any { return v.unit.mainPID }},
	{name: "StartTimestamp", signature: "t", value: func(v *view) any { return v.startTimestamp() }},
	{name: "MemoryCurrent", signature: "t", live: true, value: func(v *view) any { return memory(v.name) }},
	{name: "Cid", signature: "u", value: func(v *view) any { return uint32(v.conf.CID()) }},
	{name: "Interfaces", signature: "a(sssus)", value: func(v *view) any { return v.interfaces() }},
	{name: "Addresses", signature: "as", value: func(v *view) any { return v.conf.addresses() }},
	{name: "Shares", signature: "a(sssb)", value: func(v *view) any { return v.shares() }},
	{name: "RootOverlay", signature: "(stts)", live: true, value: func(v *view) any { return v.overlay() }},
	{name: "WaylandProxy", signature: "s", value: func(v *view) any { return v.conf.WaylandProxy }},
	{name: "DependsOn", signature: "as", value: func(v *view) any { return append([]string{}, v.conf.DependsOn...) }},
}

// isUp tells whether the VM runs, or is on its way there or from there.
func isUp(state string) bool {
	return state == "running" || state == "paused" || state == "starting" || state == "stopping"
}

// view returns how a VM is, or nil when there is none of this name: it is not configured, and does not run.
func (s *service) view(name string) *view {
	v := &view{name: name, conf: s.config.vms[name], unit: s.units.of(name), config: s.config}
	v.state, v.since = s.units.state(name)
	if v.conf == nil {
		if !isUp(v.state) {
			return nil
		}
		v.conf = &configured{Machine: &machine.Machine{VM: &config.VM{Name: name}}}
	}
	if !isDown(v.unit.active) {
		if record, err := started.Read(started.Path(name)); err == nil {
			v.record = &record
		}
	}
	return v
}

// refreshAll brings all objects up to date.
func (s *service) refreshAll() {
	for name := range s.vms {
		s.refresh(name)
	}
	for name := range s.config.vms {
		s.refresh(name)
	}
	for name := range s.units {
		s.refresh(name)
	}
	s.refreshManager()
}

// refresh brings the object of a VM up to date, and tells what is new.
func (s *service) refresh(name string) {
	v, known := s.view(name), s.vms[name]
	switch {
	case v == nil && known == nil:
	case v == nil:
		delete(s.vms, name)
		s.emit(root, objectManager, "InterfacesRemoved", known.path, []string{vmInterface})
	case known == nil:
		s.vms[name] = &vm{pathOf(name), kept(vmProperties, v), v, nil}
		s.emit(root, objectManager, "InterfacesAdded", pathOf(name), s.vms[name].interfaces())
	default:
		before := known.values
		known.values, known.view, known.kept = kept(vmProperties, v), v, nil
		s.emitChanges(known.path, vmInterface, changes(vmProperties, before, known.values))
	}
}

// kept returns the values of properties that are not live.
func kept[T any](properties []property[T], of T) []dbus.Variant {
	values := make([]dbus.Variant, len(properties))
	for i, p := range properties {
		if !p.live {
			values[i] = dbus.MakeVariant(p.value(of))
		}
	}
	return values
}

// entriesOf returns those of the properties that are wanted, with their names.
func entriesOf[T any](properties []property[T], get func(n int) dbus.Variant, wanted func(property[T]) bool) (all []entry) {
	for n, p := range properties {
		if wanted(p) {
			all = append(all, entry{p.name, get(n)})
		}
	}
	return all
}

// changes returns those of the values that are not what they were.
func changes[T any](properties []property[T], before, after []dbus.Variant) map[string]dbus.Variant {
	changed := map[string]dbus.Variant{}
	for i, p := range properties {
		if !reflect.DeepEqual(before[i], after[i]) {
			changed[p.name] = after[i]
		}
	}
	return changed
}

// get returns the nth property of a VM.
func (o *vm) get(n int) dbus.Variant {
	if p := vmProperties[n]; p.live {
		return dbus.MakeVariant(p.value(o.view))
	}
	return o.values[n]
}

// all returns all properties. Only what is live, or has changed, is written anew.
func (o *vm) all() (dict, error) {
	if o.kept == nil {
		var err error
		if o.kept, err = newDict(entriesOf(vmProperties, o.get, func(p property[*view]) bool { return !p.live })); err != nil {
			return nil, err
		}
	}
	live, err := newDict(entriesOf(vmProperties, o.get, func(p property[*view]) bool { return p.live }))
	if err != nil {
		return nil, err
	}
	return o.kept.with(live), nil
}

// interfaces returns the VM as an object manager has it.
func (o *vm) interfaces() map[string]map[string]dbus.Variant {
	values := make(map[string]dbus.Variant, len(vmProperties))
	for n, p := range vmProperties {
		values[p.name] = o.get(n)
	}
	return map[string]map[string]dbus.Variant{vmInterface: values}
}

// startTimestamp returns when the run of the VM began, or 0 when it does not run.
func (v *view) startTimestamp() uint64 {
	if isDown(v.unit.active) {
		return 0
	}
	return v.unit.times[vmunit.Since["starting"]]
}

func (v *view) interfaces() []networkInterface {
	all := []networkInterface{}
	for _, i := range v.conf.Interfaces {
		// With NAT there is one of each family, IPv4's first.
		host := ""
		if len(i.HostAddresses) > 0 {
			host = i.HostAddresses[0].String()
		}
		all = append(all, networkInterface{i.Name, i.TAP, i.MAC, uint32(i.Index), host})
	}
	return all
}

func (v *view) shares() []share {
	all := []share{}
	for _, s := range v.conf.Shares {
		all = append(all, share{s.Tag, s.Source, s.Target, s.ReadOnly})
	}
	return all
}

// overlay returns where the writes to the root go. That the file's folder may be entered by everybody, who can look at
// nothing in it but sizes and times, is for this.
func (v *view) overlay() overlay {
	if v.conf.Overlay.Type != "qcow2" {
		return overlay{Type: v.conf.Overlay.Type}
	}
	path := v.conf.EphemeralDisk()
	return overlay{"qcow2", uint64(v.conf.Overlay.Size), allocated(path), path}
}

// allocated returns how many bytes of the disk a file takes. It is the VM's user who owns the folder: what a link there leads
// to, which may be a server that does not answer, is of no interest.
func allocated(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	// st_blocks counts 512 bytes: stat(2).
	return uint64(st.Blocks) * 512
}

// cgroups is where systemd keeps the groups of units: cgroups(7), version 2.
const cgroups = "/sys/fs/cgroup"

// memory returns what all of a VM's units take of the host's memory in bytes. As with systemd, the largest number is that it
// is not known. It is the kernel that is asked: systemd may be busy.
func memory(vm string) uint64 {
	fd, err := unix.Open(filepath.Join(cgroups, "vmsilo.slice", vmunit.Slice(vm), "memory.current"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return math.MaxUint64
	}
	defer unix.Close(fd)
	// A number of 64 bits, and the end of the line.
	var text [21]byte
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return math.MaxUint64
	}
	bytes, err := strconv.ParseUint(strings.TrimSpace(string(text[:n])), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return cmp.Or(bytes, math.MaxUint64)
}
