package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"vmsilo/internal/vmunit"
)

// link is a client and its netvm.
type link struct {
	conn          *dbus.Conn
	client, netvm string
	// folder is where the marks are.
	folder string
}

// mark is the path of the mark that the netvm was started for clients.
func (l *link) mark() string { return filepath.Join(l.folder, l.netvm) }

// lock lets one client look and act at a time, until unlock is called, so that none comes between a look for others and
// the stop that follows from it.
func (l *link) lock() (unlock func(), err error) {
	dir, err := os.Open(l.folder)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		dir.Close()
		return nil, fmt.Errorf("locking %q: %w", l.folder, err)
	}
	return func() { dir.Close() }, nil
}

// atRest tells that a unit runs nothing, or will soon not.
func atRest(u dbus.UnitStatus) bool {
	return u.ActiveState == "inactive" || u.ActiveState == "failed" || u.ActiveState == "deactivating" || u.JobType == "stop"
}

// join marks the netvm if nobody had started it before this client. The netvm's own first part tells that sooner than the
// VMM does.
func (l *link) join(ctx context.Context) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	states, err := l.conn.ListUnitsByNamesContext(ctx, []string{vmunit.Of(l.netvm), "vmsilo-user@" + l.netvm + ".service"})
	if err != nil {
		return err
	}
	if !atRest(states[0]) || states[0].ActiveState == "inactive" && !atRest(states[1]) {
		return nil
	}
	if err := os.WriteFile(l.mark(), nil, 0o600); err != nil {
		return err
	}
	if states[0].JobType == "stop" {
		return l.startAfterStop(ctx)
	}
	return nil
}

// startAfterStop starts a netvm whose stop was asked for after this client's start had found it up. The start waits for join,
// which it is ordered after.
func (l *link) startAfterStop(ctx context.Context) error {
	// systemd starts nothing that is ordered with a unit before that has been stopped.
	ended := make(chan string, 1)
	if _, err := l.conn.StartUnitContext(ctx, "vmsilo-down@"+l.netvm+".service", "replace", ended); err != nil {
		return err
	}
	if err := l.await(ended); err != nil {
		return err
	}
	_, err := l.conn.StartUnitContext(ctx, vmunit.Of(l.netvm), "replace", nil)
	return err
}

// await waits for the end of a job.
func (l *link) await(ended <-chan string) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-second.C:
			if !l.conn.Connected() {
				return errors.New("the connection to systemd is gone")
			}
		}
	}
}

// leave stops the netvm if it was started for clients and this was the last.
func (l *link) leave(ctx context.Context) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if stays, err := l.stays(ctx); err != nil || stays {
		return err
	}
	if err := os.Remove(l.mark()); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	wanted, err := l.wanted(ctx)
	if err != nil || wanted {
		return err
	}
	fmt.Printf("stopping netvm %s, which has no client any more\n", l.netvm)
	_, err = l.conn.StopUnitContext(ctx, vmunit.Of(l.netvm), "replace", nil)
	return err
}

// stays reports whether the netvm has clients: this one, when it is about to start again, or others.
func (l *link) stays(ctx context.Context) (bool, error) {
	self, err := l.conn.ListUnitsByNamesContext(ctx, []string{vmunit.Of(l.client)})
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(self[0].SubState, "auto-restart") || self[0].JobType == "start" || self[0].JobType == "restart" {
		return true, nil
	}
	clients, err := l.conn.ListUnitsByPatternsContext(ctx, nil, []string{"vmsilo-netvm@*:" + l.netvm + ".service"})
	return slices.ContainsFunc(clients, func(u dbus.UnitStatus) bool {
		own := u.Name == "vmsilo-netvm@"+l.client+":"+l.netvm+".service"
		return !own && (!atRest(u) || u.JobType == "start" || u.JobType == "restart")
	}), err
}

// wanted reports whether anything but clients wants the netvm by now.
func (l *link) wanted(ctx context.Context) (bool, error) {
	var users []string
	for _, way := range []string{"WantedBy", "RequiredBy"} {
		property, err := l.conn.GetUnitPropertyContext(ctx, vmunit.Of(l.netvm), way)
		if err != nil {
			return false, err
		}
		units, _ := property.Value.Value().([]string)
		users = append(users, units...)
	}
	users = slices.DeleteFunc(users, func(unit string) bool { return unit == vmunit.Of(l.client) })
	if users == nil {
		return false, nil
	}
	states, err := l.conn.ListUnitsByNamesContext(ctx, users)
	return slices.ContainsFunc(states, func(u dbus.UnitStatus) bool { return !atRest(u) || u.JobType == "start" }), err
}
