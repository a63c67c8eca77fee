package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// busName is what the service is called on the bus.
	busName = "org.vmsilo1"
	// ofBus is the bus's own name, which it signs what it says itself with.
	ofBus = "org.freedesktop.DBus"
	// maxQueue is how many messages wait here; those after them wait in the socket and, bounded by its limits, in the bus.
	maxQueue = 64
	// patience is how long the bus may take nothing. It stops reading when what others have not read of ours is too much:
	// leaving ends that, and the next question starts the service anew.
	patience = 10 * time.Second
)

// bus is the connection where the service answers.
type bus struct {
	conn *dbus.Conn
	// messages are calls, and signals of the bus itself, in the order in which they came.
	messages chan *dbus.Message
	// stuck ends the process when an answer is not taken.
	stuck *time.Timer
}

// connect connects to the system bus, or the one that DBUS_SYSTEM_BUS_ADDRESS names.
//
// godbus answers each call in a goroutine of its own, and so holds as many as somebody sends. Here they are taken out before
// that, one after the other, by who reads the channel.
func connect() (*bus, error) {
	b := &bus{messages: make(chan *dbus.Message, maxQueue)}
	b.stuck = time.AfterFunc(patience, func() {
		log.Printf("error: the bus takes no answer for %v", patience)
		os.Exit(1)
	})
	b.stuck.Stop()
	conn, err := dbus.ConnectSystemBus(dbus.WithIncomingInterceptor(func(m *dbus.Message) {
		isBus := m.Type == dbus.TypeSignal && header[string](m, dbus.FieldSender) == ofBus
		if m.Type == dbus.TypeMethodCall || isBus {
			taken := *m
			b.messages <- &taken
		}
		if m.Type == dbus.TypeMethodCall || m.Type == dbus.TypeSignal && !isBus {
			// Of a type that it does not know, godbus makes nothing. What names it has the bus tells it by signals.
			m.Type = 0
		}
	}))
	if err != nil {
		return nil, err
	}
	b.conn = conn
	// Who is gone from the bus has no new owner of its name.
	if err := conn.AddMatchSignal(dbus.WithMatchSender(ofBus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(2, "")); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return b, nil
}

// own takes the name, from when on calls come.
func (b *bus) own() error {
	switch reply, err := b.conn.RequestName(busName, dbus.NameFlagDoNotQueue); {
	case err != nil:
		return fmt.Errorf("taking the name %s: %w", busName, err)
	case reply != dbus.RequestNameReplyPrimaryOwner:
		return fmt.Errorf("the name %s is another's already", busName)
	}
	return nil
}

// send sends a message.
func (b *bus) send(m *dbus.Message) {
	b.stuck.Reset(patience)
	defer b.stuck.Stop()
	if call := b.conn.Send(m, nil); call.Err != nil {
		log.Printf("error: sending a message: %v", call.Err)
	}
}

// reply answers a call, unless the caller wants no answer.
func (b *bus) reply(to *dbus.Message, body []any, failure *dbus.Error) {
	if to.Flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	m := &dbus.Message{Type: dbus.TypeMethodReply, Body: body}
	m.Headers = map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: to.Headers[dbus.FieldSender],
		dbus.FieldReplySerial: dbus.MakeVariant(to.Serial()),
	}
	if failure != nil {
		m.Type, m.Body = dbus.TypeError, failure.Body
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant(failure.Name)
	}
	b.send(signed(m))
}

// emit sends a signal to whoever listens.
func (b *bus) emit(path dbus.ObjectPath, iface, member string, body ...any) {
	b.send(signed(&dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(path),
		dbus.FieldInterface: dbus.MakeVariant(iface),
		dbus.FieldMember:    dbus.MakeVariant(member),
	}}))
}

func signed(m *dbus.Message) *dbus.Message {
	if len(m.Body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(m.Body...))
	}
	return m
}

// header returns a field of a message's header, or the zero value.
func header[T any](m *dbus.Message, field dbus.HeaderField) T {
	value, _ := m.Headers[field].Value().(T)
	return value
}
