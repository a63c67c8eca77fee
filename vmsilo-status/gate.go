package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// maxFields is how long the header of a message may be, and maxArguments what a caller may send with it, in bytes. No
	// object has a path, and nothing a name, that comes near to either.
	maxFields, maxArguments = 64 << 10, 64 << 10
	// maxMessage is how long a message may be: "Message Protocol" of the D-Bus specification.
	maxMessage = 128 << 20
)

// gate is a connection to a bus of which godbus sees only what comes from those whom we trust.
//
// godbus decodes all that comes, and anybody may send anything: an array of files ends the process, and each new type of a
// dictionary stays in memory forever. Here a message is read as far as its header first. Since this is no *net.UnixConn,
// godbus tells the bus that it takes no files, and none comes.
type gate struct {
	net.Conn
	in *bufio.Reader
	// hears tells by its header whether a message is of any interest.
	hears func(*message) bool
	// takes gets one that is, with its body, and tells whether that was all. Otherwise it is godbus's.
	takes func(*message) bool
	// rest is what godbus has not read yet of what is its.
	rest []byte
	// patience is how long the bus may take nothing of a message.
	patience time.Duration
	writing  sync.Mutex
}

// open connects to the system bus, or to the one that DBUS_SYSTEM_BUS_ADDRESS names. It fills in the gate.
func (g *gate) open(options ...dbus.ConnOption) (_ *dbus.Conn, err error) {
	path, err := socketOf(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	if err != nil {
		return nil, err
	}
	if g.Conn, err = net.Dial("unix", path); err != nil {
		return nil, err
	}
	g.in = bufio.NewReaderSize(g.Conn, fixedHeader+maxFields)
	conn, err := dbus.NewConn(g, options...)
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := conn.Auth(nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := conn.Hello(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// socketOf returns the socket of a bus's address: "Server Addresses" of the D-Bus specification.
func socketOf(address string) (string, error) {
	if address == "" {
		return "/run/dbus/system_bus_socket", nil
	}
	for _, one := range strings.Split(address, ";") {
		keys, isUnix := strings.CutPrefix(one, "unix:")
		for _, pair := range strings.Split(keys, ",") {
			key, value, _ := strings.Cut(pair, "=")
			value, err := url.PathUnescape(value)
			switch {
			case !isUnix || err != nil:
			case key == "path":
				return value, nil
			case key == "abstract":
				return "@" + value, nil
			}
		}
	}
	return "", fmt.Errorf("the bus's address %q has no socket of this machine", address)
}

// Read reads what is for godbus.
func (g *gate) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads a message. Before the first there are lines, all of which are for godbus: none begins as a message does.
func (g *gate) next() error {
	begin, err := g.in.Peek(1)
	if err != nil {
		return err
	}
	if begin[0] != littleEndian && begin[0] != bigEndian {
		g.rest, err = g.in.ReadSlice('\n')
		return err
	}
	fixed, err := g.in.Peek(fixedHeader)
	if err != nil {
		return err
	}
	fields, body := lengths(fixed)
	if body > maxMessage || fields > maxMessage {
		return fmt.Errorf("the bus sends a message of %d and %d bytes", fields, body)
	}
	if fields > maxFields {
		return g.skip(fixedHeader + fields + body)
	}
	head, err := g.in.Peek(fixedHeader + fields)
	if err != nil {
		return err
	}
	m, ok := parse(head)
	if !ok || !g.hears(m) {
		return g.skip(len(head) + body)
	}
	if m.kind == dbus.TypeMethodCall && body > maxArguments {
		// It is answered, as one whose arguments are missing.
		g.takes(m)
		return g.skip(len(head) + body)
	}
	whole := make([]byte, len(head)+body)
	if _, err := io.ReadFull(g.in, whole); err != nil {
		return err
	}
	m.body = whole[fixedHeader+fields:]
	if !g.takes(m) {
		g.rest = whole
	}
	return nil
}

// skip passes over bytes.
func (g *gate) skip(length int) error {
	_, err := g.in.Discard(length)
	return err
}

// Write writes a message, whose bytes it keeps together.
func (g *gate) Write(p []byte) (int, error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	if err := g.SetWriteDeadline(time.Now().Add(g.patience)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}
