package main

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// systemd is as much of systemd as the watcher meets: it has one unit, vmsilo@a.service.
type systemd struct {
	conn *dbus.Conn
	// state is a string, which the answers to the watcher have, too. It changes when no answer is on its way: systemd tells nothing
	// before what it was asked first is answered.
	state     atomic.Value
	answering sync.RWMutex
}

// onItsWay is how long an answer may take from here to the bus.
const onItsWay = 50 * time.Millisecond

const unitA = dbus.ObjectPath(unitPath + "vmsilo_40a_2eservice")

// startSystemd starts a systemd that has the name on the bus.
func startSystemd(t *testing.T, state string) *systemd {
	t.Helper()
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &systemd{conn: conn}
	s.state.Store(state)
	for _, err := range []error{
		conn.ExportMethodTable(map[string]any{
			"Subscribe":           func() *dbus.Error { return nil },
			"ListUnitsByPatterns": func(_, _ []string) ([]listed, *dbus.Error) { return s.list(), nil },
		}, "/org/freedesktop/systemd1", manager1),
		conn.ExportSubtreeMethodTable(map[string]any{
			"Get": func(_, _ string) (dbus.Variant, *dbus.Error) { return dbus.MakeVariant(uint64(1)), nil },
		}, "/org/freedesktop/systemd1/unit", properties),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName(systemd1, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return s
}

func (s *systemd) list() []listed {
	s.answering.RLock()
	time.AfterFunc(onItsWay, s.answering.RUnlock)
	return []listed{{Name: "vmsilo@a.service", LoadState: "loaded", ActiveState: s.state.Load().(string), SubState: "some", Path: unitA, JobPath: "/"}}
}

// tell signals that the unit is in a state.
func (s *systemd) tell(t *testing.T, state string) {
	t.Helper()
	s.answering.Lock()
	defer s.answering.Unlock()
	s.state.Store(state)
	s.emit(t, unitA, properties+".PropertiesChanged", unit1, map[string]dbus.Variant{"ActiveState": dbus.MakeVariant(state)}, []string{})
}

func (s *systemd) emit(t *testing.T, path dbus.ObjectPath, name string, body ...any) {
	t.Helper()
	if err := s.conn.Emit(path, name, body...); err != nil {
		t.Fatal(err)
	}
}

// hears waits for news that the unit is in a state.
func hears(t *testing.T, from <-chan news, state string) {
	t.Helper()
	for {
		select {
		case n, ok := <-from:
			if !ok {
				t.Fatal("the watcher has ended")
			}
			if u := n.units["vmsilo@a.service"]; u != nil && u.active == state {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("it is not heard that the unit is %s", state)
		}
	}
}

// A systemd that is executed anew says that it reloads, and has another name then. Whether that one says that it has
// reloaded, and when, it is heard from then on.
func TestAnotherSystemd(t *testing.T) {
	for _, says := range []bool{true, false} {
		startBus(t)
		systemd := startSystemd(t, "inactive")
		news := listen()
		hears(t, news, "inactive")
		systemd.tell(t, "activating")
		hears(t, news, "activating")
		for range 10 {
			systemd.emit(t, "/org/freedesktop/systemd1", manager1+".Reloading", true)
			systemd.conn.Close()
			systemd = startSystemd(t, "active")
			if says {
				systemd.emit(t, "/org/freedesktop/systemd1", manager1+".Reloading", false)
			}
			systemd.tell(t, "deactivating")
			hears(t, news, "deactivating")
			systemd.tell(t, "inactive")
			hears(t, news, "inactive")
		}
	}
}

// What somebody else says to the watcher is not looked at.
func TestForeignSignals(t *testing.T) {
	startBus(t)
	systemd := startSystemd(t, "inactive")
	news := listen()
	hears(t, news, "inactive")
	var names []string
	if err := systemd.conn.BusObject().Call(ofBus+".ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	other, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, name := range names {
		if name == systemd1 || slices.Contains(systemd.conn.Names(), name) {
			continue
		}
		for _, signal := range []struct {
			member, signature string
			body              any
		}{
			{"PropertiesChanged", "ah", []dbus.UnixFD{dbus.UnixFD(null.Fd())}},
			{"NameOwnerChanged", "s", systemd1},
		} {
			other.Send(&dbus.Message{Type: dbus.TypeSignal, Body: []any{signal.body}, Headers: map[dbus.HeaderField]dbus.Variant{
				dbus.FieldDestination: dbus.MakeVariant(name), dbus.FieldPath: dbus.MakeVariant(unitA),
				dbus.FieldInterface: dbus.MakeVariant(properties), dbus.FieldMember: dbus.MakeVariant(signal.member),
				dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust(signal.signature)),
			}}, nil)
		}
	}
	systemd.tell(t, "active")
	hears(t, news, "active")
}
