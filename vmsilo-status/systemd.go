package main

import (
	"encoding/hex"
	"log"
	"strings"
	"sync/atomic"

	"github.com/godbus/dbus/v5"

	"vmsilo/internal/vmunit"
)

// Names of systemd's: org.freedesktop.systemd1(5).
const (
	systemd1   = "org.freedesktop.systemd1"
	manager1   = systemd1 + ".Manager"
	unit1      = systemd1 + ".Unit"
	service1   = systemd1 + ".Service"
	unitPath   = "/org/freedesktop/systemd1/unit/"
	properties = "org.freedesktop.DBus.Properties"
)

// watcher hears systemd on a connection of its own: what others send to the service does not hold it up.
type watcher struct {
	conn *dbus.Conn
	// owner is the unique name that systemd has: what it says is signed with that.
	owner   atomic.Value
	signals chan *dbus.Signal
	out     chan news
	known   map[string]*unit
	// half are units of which the first of the two signals has come that tell of a change.
	half map[string]unit
	// reloading tells that systemd is; it then says what it likes of its units. What came before the answer numbered seen is
	// in that.
	reloading bool
	seen      dbus.Sequence
}

// listen begins to hear systemd. The first of the news is how all units are; the channel is closed when systemd cannot be
// heard.
func listen() <-chan news {
	w := &watcher{signals: make(chan *dbus.Signal, maxQueue), out: make(chan news), known: map[string]*unit{}, half: map[string]unit{}}
	w.owner.Store("")
	go func() {
		defer close(w.out)
		if err := w.connect(); err != nil {
			log.Printf("error: asking systemd: %v", err)
			return
		}
		w.watch()
	}()
	return w.out
}

// connect connects to the bus, and has systemd tell what happens.
func (w *watcher) connect() error {
	g := &gate{patience: patience, hears: w.hears, takes: w.follows}
	conn, err := g.open(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return err
	}
	w.conn = conn
	conn.Signal(w.signals)
	return w.subscribe()
}

// hears tells whether a message is an answer, one of systemd's signals that may be about a VM, or the bus's word about
// systemd. Anybody can send signals to a connection, under any name but these.
func (w *watcher) hears(m *message) bool {
	isSignal := m.kind == dbus.TypeSignal
	switch {
	case m.kind == dbus.TypeMethodCall:
		return false
	case m.sender == ofBus:
		return !isSignal || m.member == "NameOwnerChanged"
	case m.sender == w.owner.Load():
		return !isSignal || m.iface == manager1 || strings.HasPrefix(m.path, unitPath+"vmsilo")
	}
	return false
}

// follows reads the bus's word about systemd at once: what comes after that is systemd's under another name. It keeps nothing
// from godbus.
func (w *watcher) follows(m *message) bool {
	if m.kind == dbus.TypeSignal && m.sender == ofBus {
		if names, ok := m.strings(3); ok && names[0] == systemd1 {
			w.owner.Store(names[2])
		}
	}
	return false
}

// subscribe asks for all that is needed to know how units are, at once. systemd forgets who has left the bus.
func (w *watcher) subscribe() error {
	bus, systemd := w.conn.BusObject(), w.conn.Object(systemd1, "/org/freedesktop/systemd1")
	var calls []*dbus.Call
	for _, rule := range []string{
		"type='signal',sender='" + ofBus + "',member='NameOwnerChanged',arg0='" + systemd1 + "'",
		"type='signal',sender='" + systemd1 + "',interface='" + manager1 + "'",
		"type='signal',sender='" + systemd1 + "',interface='" + properties + "',path_namespace='/org/freedesktop/systemd1/unit'",
	} {
		calls = append(calls, bus.Go(ofBus+".AddMatch", 0, nil, rule))
	}
	var owner string
	if err := bus.Call(ofBus+".GetNameOwner", 0, systemd1).Store(&owner); err != nil {
		return err
	}
	// Where it has another by now, that is known.
	w.owner.CompareAndSwap("", owner)
	calls = append(calls, systemd.Go(manager1+".Subscribe", 0, nil))
	for _, call := range calls {
		if err := (<-call.Done).Err; err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) watch() {
	w.list(news{all: true}, vmunit.Patterns("*"))
	for s := range w.signals {
		if n := w.hear(s); len(n.units) > 0 {
			w.tell(n)
		}
	}
}

// tell tells news, and remembers them.
func (w *watcher) tell(n news) {
	if n.all {
		clear(w.known)
		clear(w.half)
	}
	for name, u := range n.units {
		if u == nil {
			delete(w.known, name)
		} else {
			w.known[name] = u
		}
	}
	w.out <- n
}

// hear returns the news of a signal.
func (w *watcher) hear(s *dbus.Signal) news {
	switch {
	case s.Name == ofBus+".NameOwnerChanged":
		w.ownerChanged(s)
	case s.Name == manager1+".Reloading" && len(s.Body) == 1:
		if w.reloading, _ = s.Body[0].(bool); !w.reloading {
			w.list(news{all: true}, vmunit.Patterns("*"))
		}
	case w.reloading || s.Sequence < w.seen:
	case s.Name == properties+".PropertiesChanged" && len(s.Body) == 3:
		return w.changed(s)
	case s.Name == manager1+".UnitNew" && len(s.Body) == 2:
		// It may be masked, which no other signal says.
		if name, _ := s.Body[0].(string); matters(name) && name == vmunitOf(name) {
			w.list(news{}, []string{name})
		}
	case s.Name == manager1+".UnitRemoved" && len(s.Body) == 2:
		if name, _ := s.Body[0].(string); w.known[name] != nil {
			return news{units: map[string]*unit{name: nil}}
		}
	case (s.Name == manager1+".JobNew" || s.Name == manager1+".JobRemoved") && len(s.Body) >= 3:
		return w.job(s)
	}
	return news{}
}

// vmunitOf returns the unit of the VM that a unit belongs to.
func vmunitOf(name string) string {
	vm, _ := vmunit.Split(name)
	return vmunit.Of(vm)
}

// ownerChanged follows systemd, which leaves the bus and comes back when it is executed anew.
func (w *watcher) ownerChanged(s *dbus.Signal) {
	if len(s.Body) != 3 || s.Body[2] == "" {
		return
	}
	// Whatever the one before was about.
	w.reloading = false
	systemd := w.conn.Object(systemd1, "/org/freedesktop/systemd1")
	if err := systemd.Call(manager1+".Subscribe", 0).Err; err != nil {
		log.Printf("error: subscribing to systemd again: %v", err)
	}
	w.list(news{all: true}, vmunit.Patterns("*"))
}

// job returns the news of a job that has come or gone. Of a unit that is inactive, a job can only be to start it.
func (w *watcher) job(s *dbus.Signal) news {
	name, _ := s.Body[2].(string)
	if !matters(name) || name != vmunitOf(name) {
		return news{}
	}
	u := unit{load: "loaded", active: "inactive", sub: "dead"}
	if known := w.known[name]; known != nil {
		u = *known
	}
	u.starts = s.Name == manager1+".JobNew" && isDown(u.active)
	return news{units: map[string]*unit{name: &u}}
}

func isDown(active string) bool { return active == "inactive" || active == "failed" }

// changed returns the news of a unit whose properties have changed. systemd sends all of those that it sends at all, those of
// the service before those of the unit: the second of the signals makes both known at once.
func (w *watcher) changed(s *dbus.Signal) news {
	name := unitName(s.Path)
	of, _ := s.Body[0].(string)
	values, _ := s.Body[1].(map[string]dbus.Variant)
	if !matters(name) || of != unit1 && of != service1 {
		return news{}
	}
	u := unit{load: "loaded", active: "inactive", sub: "dead"}
	if known := w.known[name]; known != nil {
		u = *known
	}
	if half, ok := w.half[name]; ok {
		u = half
	}
	store(values, "MainPID", &u.mainPID)
	store(values, "StatusText", &u.status)
	if of == service1 {
		w.half[name] = u
		return news{}
	}
	delete(w.half, name)
	store(values, "ActiveState", &u.active)
	store(values, "SubState", &u.sub)
	if job, ok := values["Job"].Value().([]any); ok && len(job) > 0 {
		id, _ := job[0].(uint32)
		u.starts = id != 0 && isDown(u.active)
	}
	u.times = map[string]uint64{}
	for _, property := range vmunit.Since {
		var usec uint64
		store(values, property, &usec)
		u.times[property] = usec
	}
	if !u.interests(name) {
		if w.known[name] == nil {
			return news{}
		}
		return news{units: map[string]*unit{name: nil}}
	}
	return news{units: map[string]*unit{name: &u}}
}

// store stores a property where it is among the values, and of the type that it should be.
func store[T any](values map[string]dbus.Variant, property string, to *T) {
	if value, ok := values[property].Value().(T); ok {
		*to = value
	}
}

// unitName returns the unit of an object of systemd's: "vmsilo@a.service" is at vmsilo_40a_2eservice.
func unitName(path dbus.ObjectPath) string {
	escaped, ok := strings.CutPrefix(string(path), unitPath)
	if !ok {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if c, err := hex.DecodeString(escaped[i+1 : min(i+3, len(escaped))]); escaped[i] == '_' && err == nil && len(c) == 1 {
			b.Write(c)
			i += 2
			continue
		}
		b.WriteByte(escaped[i])
	}
	return b.String()
}
