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
			fmt.Fprintf(client, "somebody is attached to the console of VM %s already\n", vm)
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
	console, err := open(path)
	if err != nil {
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

// open connects to the console, which it waits for while the VM's folder is there.
func open(path string) (*net.UnixConn, error) {
	for _, p := range []string{filepath.Dir(path), path} {
		if err := await.File(p); err != nil {
			return nil, err
		}
	}
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
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
