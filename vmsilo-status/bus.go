package main

import (
	"bytes"
	"encoding/binary"
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
	// patience is how long the bus may take nothing. It stops reading when what others have not read of ours is too much, and
	// does not see that we leave either; systemd starts the service anew, on a connection of which nothing is unread.
	patience = 10 * time.Second
)

// bus is the connection where the service answers.
type bus struct {
	conn *dbus.Conn
	gate *gate
	// messages are calls, and signals of the bus itself, in the order in which they came.
	messages chan *message
	// stuck tells that the bus has taken nothing for too long.
	stuck bool
	// serial is that of the last message.
	serial uint32
}

// connect connects to the system bus, or the one that DBUS_SYSTEM_BUS_ADDRESS names, which may take nothing for so long.
//
// godbus answers each call in a goroutine of its own, and so holds as many as somebody sends. Here they are taken out before
// that, one after the other, by who reads the channel.
func connect(patience time.Duration) (*bus, error) {
	b := &bus{messages: make(chan *message, maxQueue), serial: firstSerial}
	b.gate = &gate{
		patience: patience,
		// What answers its own calls is the bus's, too.
		hears: func(m *message) bool { return m.kind == dbus.TypeMethodCall || m.sender == ofBus },
		takes: func(m *message) bool {
			if m.kind != dbus.TypeMethodCall && m.kind != dbus.TypeSignal {
				return false
			}
			b.messages <- m
			return true
		},
	}
	conn, err := b.gate.open()
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

// own takes the name, from when on calls come. One who has left while the bus took nothing may still have it; nobody else may:
// org.vmsilo1.conf.
func (b *bus) own() error {
	switch reply, err := b.conn.RequestName(busName, dbus.NameFlagDoNotQueue|dbus.NameFlagAllowReplacement|dbus.NameFlagReplaceExisting); {
	case err != nil:
		return fmt.Errorf("taking the name %s: %w", busName, err)
	case reply != dbus.RequestNameReplyPrimaryOwner:
		return fmt.Errorf("the name %s is another's already", busName)
	}
	return nil
}

// errStuck is the end of a service that the bus takes nothing of.
var errStuck = errors.New("the bus takes nothing any more")

// firstSerial is beyond those that godbus gives to its own calls.
const firstSerial = 1 << 31

// send sends a message, whose body may be an a{sv} alone. The error is that of a message that is none.
func (b *bus) send(m *dbus.Message) error {
	var ready dict
	if len(m.Body) > 0 {
		signature, isReady := dictSignature, false
		if ready, isReady = m.Body[0].(dict); isReady {
			m.Body = nil
		} else {
			signature = dbus.SignatureOf(m.Body...)
		}
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(signature)
	}
	var out bytes.Buffer
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		return err
	}
	if ready != nil {
		binary.LittleEndian.PutUint32(out.Bytes()[4:], uint32(len(ready)))
		out.Write(ready)
	}
	b.serial = max(b.serial+1, firstSerial)
	binary.LittleEndian.PutUint32(out.Bytes()[8:], b.serial)
	b.write(out.Bytes())
	return nil
}

// write writes a message. That the bus is gone is seen by who reads.
func (b *bus) write(m []byte) {
	if b.stuck {
		return
	}
	if _, err := b.gate.Write(m); errors.Is(err, os.ErrDeadlineExceeded) {
		b.stuck = true
	}
}

// reply answers a call, unless the caller wants no answer.
func (b *bus) reply(to *message, body []any, failure *dbus.Error) {
	if to.flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	m := &dbus.Message{Type: dbus.TypeMethodReply, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(to.sender),
		dbus.FieldReplySerial: dbus.MakeVariant(to.serial),
	}}
	if failure != nil {
		m.Type, m.Body = dbus.TypeError, failure.Body
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant(failure.Name)
	}
	if err := b.send(m); err != nil {
		log.Printf("error: answering %s: %v", to.member, err)
		if failure == nil {
			b.reply(to, nil, dbus.MakeFailedError(err))
		}
	}
}

// emit sends a signal to whoever listens.
func (b *bus) emit(path dbus.ObjectPath, iface, member string, body ...any) {
	if err := b.send(&dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(path),
		dbus.FieldInterface: dbus.MakeVariant(iface),
		dbus.FieldMember:    dbus.MakeVariant(member),
	}}); err != nil {
		log.Printf("error: telling %s: %v", member, err)
	}
}
