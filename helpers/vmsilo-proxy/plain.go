package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/dial"
)

const (
	// maxCarried is how many connections are carried at a time.
	maxCarried = 128
	// maxData is how many bytes are on their way each way of a connection, and maxFiles how many files come with them at
	// most: SCM_MAX_FD of linux/net/scm.h.
	maxData  = 16 << 10
	maxFiles = 253
)

// carry carries each connection to the session's compositor. While there is none, they wait.
func (p *proxy) carry() error {
	listener, err := listen(p.socket)
	if err != nil {
		return err
	}
	c := &carrier{listener: listener, room: make(chan struct{}, maxCarried)}
	return p.session.each(p.note, func(compositor *net.UnixConn, path string) error {
		p.note(fmt.Sprintf("connections are carried to the compositor at %q", path))
		return c.carryTo(compositor, path, p.note)
	})
}

// carrier carries what connects to its listener.
type carrier struct {
	listener *net.UnixListener
	// room holds a value for each connection that is carried.
	room chan struct{}
	// waiting is a connection that met the end of a compositor, or nil.
	waiting *net.UnixConn
}

// carryTo carries connections to the compositor at path until that has ended, as a connection to it shows.
func (c *carrier) carryTo(compositor *net.UnixConn, path string, say func(string)) error {
	if err := c.listener.SetDeadline(time.Time{}); err != nil {
		return err
	}
	go func() {
		// It has nothing to say on a connection where nobody asks.
		newWire(compositor).outlast()
		_ = c.listener.SetDeadline(time.Now())
	}()
	for {
		conn, err := c.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		select {
		case c.room <- struct{}{}:
		default:
			say(fmt.Sprintf("error: there are %d connections already: more are refused", maxCarried))
			conn.Close()
			continue
		}
		to, err := dial.Unix(path, patience)
		if err != nil {
			<-c.room
			c.waiting = conn
			return fmt.Errorf("connecting to the compositor at %q: %w", path, err)
		}
		go func() {
			defer func() { <-c.room }()
			join(conn, to)
		}()
	}
}

// next returns the next connection.
func (c *carrier) next() (*net.UnixConn, error) {
	if conn := c.waiting; conn != nil {
		c.waiting = nil
		return conn, nil
	}
	return c.listener.AcceptUnix()
}

// join carries between a connection and the compositor, and closes both when either side has ended.
func join(conn, compositor *net.UnixConn) {
	defer conn.Close()
	defer compositor.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = pass(conn, compositor)
		// The compositor closes when it has heard the last of it.
		_ = compositor.CloseWrite()
	}()
	_ = pass(compositor, conn)
	conn.Close()
	<-sent
}

// pass carries bytes, and the files that come with them, until one side ends.
func pass(from, to *net.UnixConn) error {
	data, rights := make([]byte, maxData), make([]byte, unix.CmsgSpace(maxFiles*4))
	for {
		n, r, _, _, err := from.ReadMsgUnix(data, rights)
		files := descriptors(rights[:r])
		if err == nil && n > 0 {
			err = deliver(to, data[:n], files)
		}
		for _, fd := range files {
			unix.Close(fd)
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// deliver sends bytes, the first of them with files.
func deliver(to *net.UnixConn, data []byte, files []int) error {
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	n, _, err := to.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = to.Write(data[n:])
	}
	return err
}

// descriptors returns the files that have come.
func descriptors(rights []byte) (all []int) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		fds, _ := unix.ParseUnixRights(&m)
		all = append(all, fds...)
	}
	return all
}
