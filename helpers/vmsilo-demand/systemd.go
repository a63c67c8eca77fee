package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// maxAbsence is how long systemd may take to listen again after systemctl daemon-reexec.
const maxAbsence = 10 * time.Second

// errCutOff is the error of a connection that ended by systemd's doing.
var errCutOff = errors.New("the connection to systemd is gone")

// connect connects to systemd.
func connect(ctx context.Context) (*dbus.Conn, error) {
	for deadline := time.Now().Add(maxAbsence); ; time.Sleep(100 * time.Millisecond) {
		conn, err := dbus.NewSystemdConnectionContext(ctx)
		if err == nil {
			return conn, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("connecting to systemd: %w", err)
		}
	}
}

// connected runs f with a connection. The error wraps errCutOff when that was gone by the end.
func (d *demand) connected(f func(context.Context) error) (err error) {
	ctx := context.Background()
	if d.conn, err = connect(ctx); err != nil {
		return err
	}
	defer d.conn.Close()
	if err = f(ctx); err != nil && !d.conn.Connected() {
		return fmt.Errorf("%w: %w", errCutOff, err)
	}
	return err
}

// insist is connected, once more for as long as systemd has gone on in a new process by the end.
func (d *demand) insist(f func(context.Context) error) error {
	for {
		if err := d.connected(f); !errors.Is(err, errCutOff) {
			return err
		}
	}
}

// await waits for the end of the job of a unit.
func (d *demand) await(unit string, ended <-chan string) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case result := <-ended:
			if result != "done" {
				return fmt.Errorf("the start of %s has ended as %q", unit, result)
			}
			return nil
		case <-second.C:
			if !d.conn.Connected() {
				return fmt.Errorf("waiting for %s: no answer", unit)
			}
		}
	}
}
