package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// wrongly sends a call whose body need not be what its signature says, and returns the name of the error that answers it.
func wrongly(t *testing.T, conn *dbus.Conn, member, signature string, body ...any) string {
	t.Helper()
	m := &dbus.Message{Type: dbus.TypeMethodCall, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(busName), dbus.FieldPath: dbus.MakeVariant(root),
		dbus.FieldInterface: dbus.MakeVariant(managerInterface), dbus.FieldMember: dbus.MakeVariant(member),
		dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust(signature)),
	}}
	select {
	case done := <-conn.Send(m, make(chan *dbus.Call, 1)).Done:
		var answer dbus.Error
		if !errors.As(done.Err, &answer) {
			t.Fatalf("%s of %.40q: %v, want an error", member, signature, done.Err)
		}
		return answer.Name
	case <-time.After(20 * time.Second):
		t.Fatalf("%s of %.40q has no answer", member, signature)
	}
	return ""
}

// openFiles returns how many files this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Whatever carries files, which no method takes, is refused by the bus: none of them gets here.
func TestFiles(t *testing.T) {
	h := newHost(t, time.Minute)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file := dbus.UnixFD(null.Fd())
	// Who sends a signal hears nothing of it.
	if err := h.client.Send(&dbus.Message{Type: dbus.TypeSignal, Body: []any{[]dbus.UnixFD{file}}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(busName), dbus.FieldPath: dbus.MakeVariant(root),
		dbus.FieldInterface: dbus.MakeVariant("a.b"), dbus.FieldMember: dbus.MakeVariant("C"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust("ah")),
	}}, nil).Err; err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	for range 50 {
		wrongly(t, h.client, "GetVM", "h", file)
		wrongly(t, h.client, "GetVM", "ah", []dbus.UnixFD{file})
		wrongly(t, h.client, "GetVM", "a{sh}", map[string]dbus.UnixFD{"x": file})
	}
	if now := openFiles(t); now > before {
		t.Errorf("%d files are open, and %d were", now, before)
	}
	if err := h.object(root).Call(peer+".Ping", 0).Err; err != nil {
		t.Error(err)
	}
}

// What a call has that no method takes is not looked at: a type that is made for that would stay forever.
func TestTypes(t *testing.T) {
	h := newHost(t, time.Minute)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for n := range 300 {
		// The innermost keys make each of the types another.
		signature := "s"
		for rest, depth := n, 0; depth < 30; depth++ {
			signature = "a{" + string("ybnqiuxtds"[rest%10]) + signature + "}"
			rest /= 10
		}
		// An empty array: its length, and what aligns its first entry.
		if got := wrongly(t, h.client, "GetVM", signature, uint64(0)); got != invalidArgs {
			t.Fatal(got)
		}
	}
	if more := heap() - before; more > 4<<20 {
		t.Errorf("%d KiB more are taken", more>>10)
	}
}

// deaf returns somebody who has all that the service says sent to them, and reads none of it.
func deaf(t *testing.T) *dbus.Conn {
	t.Helper()
	ends := make(chan struct{})
	g := &gate{patience: patience, takes: func(*message) bool { return false }, hears: func(m *message) bool {
		if m.sender != ofBus {
			<-ends
		}
		return true
	}}
	conn, err := g.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ends)
		conn.Close()
	})
	if err := conn.BusObject().Call(ofBus+".AddMatch", 0, "sender='"+busName+"'").Err; err != nil {
		t.Fatal(err)
	}
	return conn
}

// Who reads no signal holds up nobody: the others have theirs, and their answers.
func TestDeaf(t *testing.T) {
	h := newHost(t, time.Minute)
	deaf(t)
	signals := h.listen("type='signal',sender='" + busName + "'")
	for n := range 5000 {
		h.run("my-vm", []string{"activating", "active"}[n%2])
		if s := h.next(signals); s.Path != theVM {
			t.Fatal(s)
		}
	}
	if err := h.object(root).Call(managerInterface+".ListVMs", 0).Err; err != nil {
		t.Error(err)
	}
}

// A bus that has kept so much for who does not read that it takes no more is left in time. It may not see that, and yet the next
// service has the name, and answers.
func TestStuck(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(conf, []byte(`<busconfig>
<include>/usr/share/dbus-1/session.conf</include><limit name="max_incoming_bytes">100000</limit>
</busconfig>`), 0o600); err != nil {
		t.Fatal(err)
	}
	startBus(t, "--config-file="+conf)
	h := newHostOnBus(t, time.Minute, 300*time.Millisecond)
	asks := deaf(t).Object(busName, root)
	for range 600 {
		asks.Go(objectManager+".GetManagedObjects", 0, nil)
	}
	select {
	case err := <-h.ended:
		if !errors.Is(err, errStuck) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it stays")
	}
	h = newHostOnBus(t, time.Minute, patience)
	if err := h.object(root).Call(managerInterface+".ListVMs", 0).Err; err != nil {
		t.Error(err)
	}
}

// A signal that only the bus may send is nobody's when somebody else has sent it.
func TestForgedSignal(t *testing.T) {
	startBus(t)
	b, err := connect(patience)
	if err != nil {
		t.Fatal(err)
	}
	defer b.conn.Close()
	other, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, kind := range []dbus.Type{dbus.TypeSignal, dbus.TypeMethodCall} {
		other.Send(&dbus.Message{Type: kind, Body: []any{":1.1", ":1.1", ""}, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(b.conn.Names()[0]), dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/DBus")),
			dbus.FieldInterface: dbus.MakeVariant(ofBus), dbus.FieldMember: dbus.MakeVariant("NameOwnerChanged"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust("sss")),
		}}, nil)
	}
	// The bus says a thing or two of its own before that.
	for m := range b.messages {
		if m.kind == dbus.TypeMethodCall {
			return
		}
		if m.sender != ofBus {
			t.Fatalf("%s of %s", m.member, m.sender)
		}
	}
}
