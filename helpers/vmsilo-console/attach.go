package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/await"
)

// patience is how long either side may take nothing of what the other has sent.
const patience = 10 * time.Second

// serve lets clients attach, one at a time, until there is none for a while.
func serve(listener *net.UnixListener, vm, console string, journal io.Writer, idle time.Duration) error {
	var attached atomic.Bool
	for {
		if !attached.Load() {
			if err := listener.SetDeadline(time.Now().Add(idle)); err != nil {
				return err
			}
		}
		client, err := listener.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && attached.Load():
			// The deadline was set for the client before.
			if err := listener.SetDeadline(time.Time{}); err != nil {
				return err
			}
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("accepting a client: %w", err)
		case !attached.CompareAndSwap(false, true):
			// Its buffer is empty: this does not wait.
			fmt.Fprintf(client, "somebody is attached to the console of VM %q already\n", vm)
			client.Close()
			continue
		}
		if err := listener.SetDeadline(time.Time{}); err != nil {
			return err
		}
		go func() {
			attach(client, console, journal)
			attached.Store(false)
			// The accept that waits by now has no other end.
			_ = listener.SetDeadline(time.Now().Add(idle))
		}()
	}
}

// attach carries a client to the console, until either side ends.
func attach(client *net.UnixConn, path string, journal io.Writer) {
	defer client.Close()
	console, err := open(path, client)
	if err != nil {
		// One that has left hears nothing of it.
		fmt.Fprintf(client, "there is no console: %v\n", err)
		return
	}
	defer console.Close()
	go func() {
		defer console.Close()
		defer client.Close()
		_, _ = io.Copy(impatient{console}, readerOnly{client})
	}()
	lines := &text{to: journal}
	defer lines.flush()
	_, _ = io.Copy(io.MultiWriter(lines, impatient{client}), readerOnly{console})
}

// errLeft is the end of a client before there was a console.
var errLeft = errors.New("the client has left")

// open connects to the console, which it waits for while the VM's folder is there, and the client.
func open(path string, client *net.UnixConn) (*net.UnixConn, error) {
	raw, err := client.SyscallConn()
	if err != nil {
		return nil, err
	}
	// The descriptor stays open for as long as this waits.
	if controlled := raw.Control(func(fd uintptr) {
		left := await.Interrupt{FD: int(fd), Events: unix.POLLRDHUP, Err: errLeft}
		for _, p := range []string{filepath.Dir(path), path} {
			if err = await.File(p, left); err != nil {
				return
			}
		}
	}); controlled != nil {
		return nil, controlled
	}
	if err != nil {
		return nil, err
	}
	return connect(path)
}

// connect connects to a socket that has only just got its name: that is a moment before it listens, of which nothing tells.
func connect(path string) (*net.UnixConn, error) {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if !errors.Is(err, unix.ECONNREFUSED) || time.Now().After(deadline) {
			return conn, err
		}
	}
}

// impatient writes to a connection that has to take it soon.
type impatient struct{ *net.UnixConn }

func (i impatient) Write(data []byte) (int, error) {
	if err := i.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return i.UnixConn.Write(data)
}

// ReadFrom is not the connection's, which would go past Write.
func (i impatient) ReadFrom(r io.Reader) (int64, error) { return io.Copy(writerOnly{i}, r) }

type (
	readerOnly struct{ io.Reader }
	writerOnly struct{ io.Writer }
)
