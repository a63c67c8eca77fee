package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// What this program says and hears of Wayland: a message is the object's id, its size in the upper half of a word and the
// number of the request or event in the lower, and arguments of whole words, all in the byte order of the host. See "Wire
// Format" of https://wayland.freedesktop.org/docs/book/Protocol.html, and the protocol's wayland.xml for the numbers.
const (
	display = 1 // wl_display, which is there from the beginning

	displaySync        = 0
	displayGetRegistry = 1
	registryBind       = 0

	displayError   = 0
	registryGlobal = 0
)

// maxGlobals bounds what is kept of what a compositor says that it has.
const maxGlobals = 4096

// wire is a connection to a compositor.
type wire struct {
	conn *net.UnixConn
	in   *bufio.Reader
	// last is the highest id of an object.
	last uint32
}

func newWire(conn *net.UnixConn) *wire {
	return &wire{conn: conn, in: bufio.NewReader(conn), last: display}
}

// newID returns the id of a new object.
func (w *wire) newID() uint32 {
	w.last++
	return w.last
}

// message begins a message.
func message(object uint32, opcode uint16) []byte {
	return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, object), uint32(opcode))
}

func appendUint(m []byte, value uint32) []byte { return binary.NativeEndian.AppendUint32(m, value) }

// appendText adds a text, which ends with a NUL, and fills the word.
func appendText(m []byte, text string) []byte {
	m = append(appendUint(m, uint32(len(text)+1)), text...)
	return append(m, make([]byte, 4-len(text)%4)...)
}

// send sends a message with descriptors of files.
func (w *wire) send(m []byte, files ...int) error {
	binary.NativeEndian.PutUint32(m[4:], binary.NativeEndian.Uint32(m[4:])|uint32(len(m))<<16)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	n, _, err := w.conn.WriteMsgUnix(m, rights, nil)
	if err == nil && n < len(m) {
		_, err = w.conn.Write(m[n:])
	}
	return err
}

// event is what a compositor says of an object.
type event struct {
	object uint32
	opcode uint16
	args   []byte
}

// next reads an event. It returns an error for one that says what was wrong with a request.
func (w *wire) next() (event, error) {
	e, err := readEvent(w.in)
	if err == nil && e.object == display && e.opcode == displayError {
		_, code, text := e.uint(), e.uint(), e.text()
		err = fmt.Errorf("it says %q (error %d)", text, code)
	}
	return e, err
}

// readEvent reads an event, or a request, which looks the same.
func readEvent(in io.Reader) (event, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return event{}, err
	}
	what := binary.NativeEndian.Uint32(head[4:])
	size, opcode := what>>16, uint16(what)
	if size < uint32(len(head)) {
		return event{}, errors.New("it does not speak Wayland")
	}
	e := event{binary.NativeEndian.Uint32(head[:]), opcode, make([]byte, size-uint32(len(head)))}
	_, err := io.ReadFull(in, e.args)
	return e, err
}

// uint takes a number from the arguments; 0 where there is none.
func (e *event) uint() uint32 {
	if len(e.args) < 4 {
		return 0
	}
	value := binary.NativeEndian.Uint32(e.args)
	e.args = e.args[4:]
	return value
}

// text takes a text from the arguments; "" where there is none.
func (e *event) text() string {
	length := uint64(e.uint())
	padded := (length + 3) &^ 3
	if length == 0 || padded > uint64(len(e.args)) {
		return ""
	}
	text := string(e.args[:length-1])
	e.args = e.args[padded:]
	return text
}

// sync hears what the compositor says until it has done all that it was asked for before.
func (w *wire) sync(hear func(event)) error {
	callback := w.newID()
	if err := w.send(appendUint(message(display, displaySync), callback)); err != nil {
		return err
	}
	for {
		e, err := w.next()
		if err != nil || e.object == callback {
			return err
		}
		hear(e)
	}
}

// globals asks what the compositor has: names by which to bind it, by interface. registry is their object.
func (w *wire) globals() (registry uint32, names map[string]uint32, err error) {
	registry, names = w.newID(), map[string]uint32{}
	if err := w.send(appendUint(message(display, displayGetRegistry), registry)); err != nil {
		return 0, nil, err
	}
	err = w.sync(func(e event) {
		if e.object == registry && e.opcode == registryGlobal && len(names) < maxGlobals {
			name := e.uint()
			names[e.text()] = name
		}
	})
	return registry, names, err
}

// bind makes an object of a global, in version 1.
func (w *wire) bind(registry, name uint32, kind string) (uint32, error) {
	id := w.newID()
	m := appendText(appendUint(message(registry, registryBind), name), kind)
	return id, w.send(appendUint(appendUint(m, 1), id))
}
