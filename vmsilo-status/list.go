package main

import (
	"log"
	"strings"

	"github.com/godbus/dbus/v5"

	"vmsilo/internal/vmunit"
)

// listed is a unit in an answer of ListUnitsByPatterns.
type listed struct {
	Name, Description, LoadState, ActiveState, SubState, Following string
	Path                                                           dbus.ObjectPath
	JobID                                                          uint32
	JobType                                                        string
	JobPath                                                        dbus.ObjectPath
}

// list asks systemd for the units of these names, as far as they are loaded, and tells what it says, with n.
func (w *watcher) list(n news, patterns []string) {
	call := <-w.conn.Object(systemd1, "/org/freedesktop/systemd1").
		Go(manager1+".ListUnitsByPatterns", 0, nil, []string{}, patterns).Done
	var found []listed
	if err := call.Store(&found); err != nil {
		// The bus has been left, or systemd has; its return is heard.
		log.Printf("error: asking systemd for the units of VMs: %v", err)
		return
	}
	n.units = map[string]*unit{}
	var details []func()
	for _, l := range found {
		isVM, controls := l.Name == vmunitOf(l.Name), strings.HasPrefix(l.Name, "vmsilo-vmm@")
		if !matters(l.Name) || !isVM && l.ActiveState != "failed" && !controls {
			continue
		}
		u := &unit{load: l.LoadState, active: l.ActiveState, sub: l.SubState, times: map[string]uint64{}}
		u.starts = l.JobType == "start" || l.JobType == "restart"
		n.units[l.Name] = u
		if l.LoadState == "loaded" {
			details = append(details, w.details(l.Path, u, isVM || controls)...)
		}
	}
	w.seen = call.ResponseSequence
	for _, take := range details {
		take()
	}
	if n.all || len(n.units) > 0 {
		w.tell(n)
	}
}

// details asks for the properties of a unit that a list has not, and returns what takes the answers. A unit that goes
// meanwhile has none.
func (w *watcher) details(path dbus.ObjectPath, u *unit, isService bool) (takes []func()) {
	object := w.conn.Object(systemd1, path)
	ask := func(iface, property string, take func(value any)) {
		call := object.Go(properties+".Get", 0, nil, iface, property)
		takes = append(takes, func() {
			var value dbus.Variant
			if (<-call.Done).Store(&value) == nil {
				take(value.Value())
			}
		})
	}
	wanted := map[string]bool{}
	for _, property := range vmunit.Since {
		if !wanted[property] {
			wanted[property] = true
			ask(unit1, property, func(value any) { u.times[property], _ = value.(uint64) })
		}
	}
	if isService {
		ask(service1, "MainPID", func(value any) { u.mainPID, _ = value.(uint32) })
		ask(service1, "StatusText", func(value any) { u.status, _ = value.(string) })
	}
	return takes
}
