package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
)

// host is a bus of its own, with the service on it, whose systemd and configuration are the test's.
type host struct {
	t *testing.T
	// client is somebody who asks.
	client         *dbus.Conn
	systemd        chan news
	configurations chan *configuration
	folder         string
	ended          chan error
}

// startBus starts a bus, which is the system's for this test.
func startBus(t *testing.T, options ...string) {
	t.Helper()
	if len(options) == 0 {
		options = []string{"--session"}
	}
	daemon := exec.Command("dbus-daemon", append(options, "--nofork", "--print-address")...)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatalf("this test needs dbus-daemon, of Debian's package dbus-daemon: %v", err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", strings.TrimSpace(address))
}

// newHost returns a host with a VM "my-vm" that is configured well, and one that is not, named "bad".
func newHost(t *testing.T, stay time.Duration) *host {
	t.Helper()
	startBus(t)
	return newHostOnBus(t, stay, patience)
}

// newHostOnBus is newHost where there is a bus, which may take nothing for so long.
func newHostOnBus(t *testing.T, stay, patience time.Duration) *host {
	t.Helper()
	h := &host{t: t, systemd: make(chan news), configurations: make(chan *configuration), folder: t.TempDir(), ended: make(chan error, 1)}
	h.write("my-vm", "id = 3\nhypervisor = \"qemu\"\n")
	h.write("bad", "id = 4\nmemroy = 5\n")
	bus, err := connect(patience)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{bus: bus, systemd: h.systemd, configurations: h.configurations, stay: stay}
	go func() { h.ended <- errors.Join(s.serve(), bus.conn.Close()) }()
	h.configurations <- read([]string{h.folder})
	h.systemd <- news{all: true}
	h.client = h.connect()
	return h
}

func (h *host) write(vm, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.folder, vm+".toml"), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) connect() *dbus.Conn {
	h.t.Helper()
	conn, err := dbus.ConnectSystemBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

// listen returns the signals that match a rule, from now on.
func (h *host) listen(rule string) <-chan *dbus.Signal {
	h.t.Helper()
	conn := h.connect()
	signals := make(chan *dbus.Signal, 100)
	conn.Signal(signals)
	if err := conn.BusObject().Call(ofBus+".AddMatch", 0, rule).Err; err != nil {
		h.t.Fatal(err)
	}
	// What is said to this connection alone came before the answer.
	for len(signals) > 0 {
		<-signals
	}
	return signals
}

func (h *host) next(signals <-chan *dbus.Signal) *dbus.Signal {
	h.t.Helper()
	for {
		select {
		case s := <-signals:
			if s.Name != ofBus+".NameAcquired" {
				return s
			}
		case <-time.After(20 * time.Second):
			h.t.Fatal("no signal")
		}
	}
}

const theVM = vms + "/my_2dvm"

func (h *host) object(path dbus.ObjectPath) dbus.BusObject { return h.client.Object(busName, path) }

// run tells the service that a VM's unit is in a state.
func (h *host) run(vm, active string) {
	h.systemd <- news{units: map[string]*unit{"vmsilo@" + vm + ".service": {
		load: "loaded", active: active, sub: "some", mainPID: 7, times: map[string]uint64{"ActiveEnterTimestamp": 5, "InactiveExitTimestamp": 4},
	}}}
}

// Whatever is asked for that is not there has an error that says so.
func TestErrors(t *testing.T) {
	h := newHost(t, time.Minute)
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		path         dbus.ObjectPath
		method, want string
		args         []any
	}{
		{"/org/vmsilo2", peer + ".Ping", unknownObject, nil},
		{"/org/vmsilo1/vm/none", properties + ".GetAll", unknownObject, []any{vmInterface}},
		{"/org/vmsilo1/vm/my_2dvm/x", properties + ".GetAll", unknownObject, []any{vmInterface}},
		{"/org/vmsilo1/vm/my_2Dvm", properties + ".GetAll", unknownObject, []any{vmInterface}},
		{"/org/vmsilo1x", introspectable + ".Introspect", unknownObject, nil},
		{"/o", introspectable + ".Introspect", unknownObject, nil},
		{vms, properties + ".GetAll", unknownInterface, []any{""}},
		{vms, objectManager + ".GetManagedObjects", unknownInterface, nil},
		{root, managerInterface + ".GetVM", busName + ".Error.NoSuchVM", []any{"none"}},
		{root, managerInterface + ".GetVM", busName + ".Error.NoSuchVM", []any{long[:60<<10]}},
		{root, managerInterface + ".GetVM", invalidArgs, []any{long}},
		{root, managerInterface + ".GetVM", busName + ".Error.NoSuchVM", []any{"../my-vm\n"}},
		{root, managerInterface + ".GetVM", invalidArgs, nil},
		{root, managerInterface + ".GetVM", invalidArgs, []any{uint32(5)}},
		{root, managerInterface + ".ListVMs", invalidArgs, []any{"x"}},
		{root, managerInterface + ".StartVM", unknownMethod, []any{"my-vm"}},
		{root, managerInterface + ".Unsubscribe", busName + ".Error.NotSubscribed", nil},
		{root, busName + ".Nothing.ListVMs", unknownInterface, nil},
		{theVM, managerInterface + ".ListVMs", unknownInterface, nil},
		{theVM, properties + ".Get", unknownProperty, []any{vmInterface, "Nothing"}},
		{theVM, properties + ".Get", unknownInterface, []any{managerInterface, "Version"}},
		{theVM, properties + ".GetAll", unknownInterface, []any{"no.such"}},
		{theVM, properties + ".Set", readOnly, []any{vmInterface, "Color", dbus.MakeVariant("red")}},
		{theVM, properties + ".Set", unknownProperty, []any{vmInterface, "Nothing", dbus.MakeVariant("red")}},
	} {
		err := h.object(c.path).Call(c.method, 0, c.args...).Err
		var answer dbus.Error
		if !errors.As(err, &answer) || answer.Name != c.want || len(answer.Error()) > 1000 {
			t.Errorf("%s at %s: got %s: %.200v, want %s", c.method, c.path, answer.Name, err, c.want)
		}
	}
}

// What introspection says of each property is so, and each object is found from above.
func TestIntrospection(t *testing.T) {
	h := newHost(t, time.Minute)
	h.run("my-vm", "active")
	found := map[string]string{}
	var walk func(path string)
	walk = func(path string) {
		var text string
		if err := h.object(dbus.ObjectPath(path)).Call(introspectable+".Introspect", 0).Store(&text); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var node introspect.Node
		if err := xml.Unmarshal([]byte(text), &node); err != nil {
			t.Fatal(err)
		}
		for _, i := range node.Interfaces {
			found[path] += i.Name + " "
			var values map[string]dbus.Variant
			if len(i.Properties) > 0 {
				call := h.object(dbus.ObjectPath(path)).Call(properties+".GetAll", 0, i.Name)
				if call.Err != nil {
					t.Fatal(call.Err)
				}
				// Not Store, which makes other variants of structures.
				values = call.Body[0].(map[string]dbus.Variant)
			}
			for _, p := range i.Properties {
				one, err := h.object(dbus.ObjectPath(path)).GetProperty(i.Name + "." + p.Name)
				if got := values[p.Name].Signature().String(); got != p.Type || one.Signature().String() != p.Type || err != nil {
					t.Errorf("%s at %s: %q and %q, introspection says %q: %v", p.Name, path, got, one.Signature(), p.Type, err)
				}
			}
			if len(values) != len(i.Properties) {
				t.Errorf("%s at %s: %d properties, and introspection has %d", i.Name, path, len(values), len(i.Properties))
			}
		}
		for _, child := range node.Children {
			walk(strings.TrimSuffix(path, "/") + "/" + child.Name)
		}
	}
	walk("/")
	vm := strings.Join([]string{peer, introspectable, properties, vmInterface, ""}, " ")
	for path, want := range map[string]string{
		"/": peer + " " + introspectable + " ", "/org/vmsilo1/vm/bad": vm, string(theVM): vm,
		string(root): strings.Join([]string{peer, introspectable, properties, objectManager, managerInterface, ""}, " "),
	} {
		if found[path] != want {
			t.Errorf("%s has %q, want %q", path, found[path], want)
		}
	}
	if len(found) != 6 {
		t.Errorf("%d objects: %v", len(found), found)
	}
}

// Everything that changes is told, with its new value, and nothing else.
func TestSignals(t *testing.T) {
	h := newHost(t, time.Minute)
	signals := h.listen("type='signal',sender='" + busName + "'")
	h.run("my-vm", "activating")
	changed := func() map[string]dbus.Variant {
		t.Helper()
		s := h.next(signals)
		if s.Name != properties+".PropertiesChanged" || s.Path != theVM || s.Body[0] != vmInterface {
			t.Fatalf("%s at %s: %v", s.Name, s.Path, s.Body)
		}
		return s.Body[1].(map[string]dbus.Variant)
	}
	want := map[string]any{
		"ActiveState": "activating", "SubState": "some", "State": "starting", "StateTimestamp": uint64(4), "MainPID": uint32(7),
		"StartTimestamp": uint64(4),
	}
	got := changed()
	for name, value := range want {
		if got[name].Value() != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("too much: %v", got)
	}
	h.run("my-vm", "activating")
	h.run("my-vm", "active")
	if got := changed(); got["Ready"].Value() != true || got["State"].Value() != "running" || got["MainPID"].Value() != nil {
		t.Errorf("up: %v", got)
	}
	// A VM that runs without being configured is there as long as it runs.
	h.run("lost", "active")
	if s := h.next(signals); s.Name != objectManager+".InterfacesAdded" || s.Path != root || s.Body[0] != vms+"/lost" {
		t.Errorf("%v", s)
	}
	h.run("lost", "inactive")
	if s := h.next(signals); s.Name != objectManager+".InterfacesRemoved" || s.Body[0] != vms+"/lost" || fmt.Sprint(s.Body[1]) != "["+vmInterface+"]" {
		t.Errorf("%v", s)
	}
	h.write("bad", "id = 4\nhypervisor = \"qemu\"\n")
	h.configurations <- read([]string{h.folder})
	for range 2 {
		switch s := h.next(signals); s.Path {
		case vms + "/bad":
			if got := s.Body[1].(map[string]dbus.Variant); got["ConfigError"].Value() != "" || got["Color"].Value() != nil {
				t.Errorf("%v", got)
			}
		case root:
			if got := s.Body[1].(map[string]dbus.Variant); s.Body[0] != managerInterface || len(got) != 1 || got["Errors"].Signature().String() != "a(suus)" {
				t.Errorf("%v", s.Body)
			}
		default:
			t.Errorf("%v", s)
		}
	}
	if len(signals) > 0 {
		t.Errorf("and more: %v", <-signals)
	}
}

// A VM of which a part has failed has failed; one whose job waits is starting.
func TestState(t *testing.T) {
	u := units{}
	u.add(news{units: map[string]*unit{
		"vmsilo-disk@a.service":       {active: "failed", times: map[string]uint64{"InactiveEnterTimestamp": 9}},
		"vmsilo-netdev@a:lan.service": {active: "failed", times: map[string]uint64{"InactiveEnterTimestamp": 8}},
		"vmsilo@b.service":            {active: "inactive", starts: true},
		"vmsilo@c.service":            {active: "inactive", load: "masked"},
		"vmsilo@d.service":            {active: "active", times: map[string]uint64{"ActiveEnterTimestamp": 7}},
		"vmsilo-disk@d.service":       {active: "failed"},
		"vmsilo@f.service":            {active: "active", times: map[string]uint64{"ActiveEnterTimestamp": 6}},
		"vmsilo-vmm@f.service":        {active: "active", status: "paused"},
		"vmsilo-vmm@g.service":        {active: "failed"},
	}})
	for vm, want := range map[string]string{"a": "failed 8", "b": "starting 0", "c": "masked 0", "d": "running 7", "e": "stopped 0", "f": "paused 6", "g": "stopped 0"} {
		if word, since := u.state(vm); fmt.Sprint(word, " ", since) != want {
			t.Errorf("%s: %s %d, want %s", vm, word, since, want)
		}
	}
	if concerned := u.add(news{all: true, units: map[string]*unit{"vmsilo@e.service": {}}}); strings.Join(concerned, " ") != "a b c d e f g" {
		t.Errorf("%q", concerned)
	}
	if len(u) != 1 {
		t.Errorf("%v", u)
	}
}

// The service leaves when nobody has asked for a while, and answers who asks at that moment.
func TestLeaves(t *testing.T) {
	h := newHost(t, 300*time.Millisecond)
	asked := time.Now()
	for range 20 {
		asked = time.Now()
		if err := h.object(root).Call(managerInterface+".ListVMs", 0).Err; err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
	}
	// It is no call that somebody else goes.
	for range 10 {
		h.connect().Close()
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case err := <-h.ended:
		if err != nil || time.Since(asked) < 300*time.Millisecond {
			t.Errorf("%v, %v after the last question", err, time.Since(asked))
		}
	case <-time.After(20 * time.Second):
		t.Error("it stays")
	}
}

// It stays while somebody has subscribed, and no longer than they are there.
func TestSubscribers(t *testing.T) {
	const stay = 200 * time.Millisecond
	h := newHost(t, stay)
	first := h.connect()
	one, two := first.Object(busName, root), h.object(root)
	for _, who := range []dbus.BusObject{one, two} {
		if err := who.Call(managerInterface+".Subscribe", 0).Err; err != nil {
			t.Fatal(err)
		}
	}
	var answer dbus.Error
	if err := one.Call(managerInterface+".Subscribe", 0).Err; !errors.As(err, &answer) || answer.Name != busName+".Error.AlreadySubscribed" {
		t.Errorf("twice: %v", err)
	}
	stays := func() {
		t.Helper()
		select {
		case err := <-h.ended:
			t.Fatalf("it leaves: %v", err)
		case <-time.After(3 * stay):
		}
	}
	stays()
	if err := two.Call(managerInterface+".Unsubscribe", 0).Err; err != nil {
		t.Error(err)
	}
	stays()
	gone := time.Now()
	first.Close()
	select {
	case err := <-h.ended:
		if err != nil || time.Since(gone) < stay {
			t.Errorf("%v, %v after the last subscriber", err, time.Since(gone))
		}
	case <-time.After(20 * time.Second):
		t.Error("it stays")
	}
}

// Two hundred who ask at once each have their answer.
func TestManyAtOnce(t *testing.T) {
	h := newHost(t, time.Minute)
	ended := make(chan error)
	for n := range 200 {
		conn := h.connect()
		go func() {
			var path dbus.ObjectPath
			for range 50 {
				if err := conn.Object(busName, root).Call(managerInterface+".GetVM", 0, "my-vm").Store(&path); err != nil || path != theVM {
					ended <- fmt.Errorf("%d: %s, %w", n, path, err)
					return
				}
			}
			ended <- nil
		}()
	}
	for range 200 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
