// Vmsilo-demand starts a VM that somebody wants to use, and stops one that nobody uses.
//
// Synopsis:
//
//	vmsilo-demand start VM
//	vmsilo-demand stop VM
//
// Description:
//
// start asks systemd for the VM and waits until it is up, or has failed. When it was this that started the VM, it makes
// /run/vmsilo/VM/on-demand, a mark that goes with the VM's folder.
//
// stop asks systemd to stop a VM that has this mark. It leaves alone one to which connections are carried or wanted, and
// one that another VM needs which is not at rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 2 || args[1] == "" {
		return fmt.Errorf("want start or stop, and one VM; got %q", args)
	}
	ctx := context.Background()
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	d := demand{conn, args[1]}
	switch args[0] {
	case "start":
		err = d.start(ctx)
	case "stop":
		err = d.stop(ctx)
	default:
		return fmt.Errorf("want start or stop, got %q", args[0])
	}
	if err != nil {
		return fmt.Errorf("on demand: VM %q: %w", d.vm, err)
	}
	return nil
}

// demand is what is wanted of one VM.
type demand struct {
	conn *dbus.Conn
	vm   string
}

// unit is the VM's own.
func (d demand) unit() string { return "vmsilo@" + d.vm + ".service" }

// mark is the path of the mark.
func (d demand) mark() string { return filepath.Join(paths.Runtime, d.vm, "on-demand") }

// lock takes the mark for this process alone, until release is called, so that a start is asked for before a stop has
// looked whether there is one, or after it has been asked for. Without a mark there is nothing to take.
func (d demand) lock() (marked bool, release func(), err error) {
	f, err := os.Open(d.mark())
	if errors.Is(err, os.ErrNotExist) {
		return false, func() {}, nil
	} else if err != nil {
		return false, nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return false, nil, fmt.Errorf("locking %q: %w", f.Name(), err)
	}
	return true, func() { f.Close() }, nil
}

// atRest are the states of a unit that runs nothing and is not about to.
func atRest(state string) bool { return state == "inactive" || state == "failed" }

// start starts the VM.
func (d demand) start(ctx context.Context) error {
	_, release, err := d.lock()
	if err != nil {
		return err
	}
	states, err := d.conn.ListUnitsByNamesContext(ctx, []string{d.unit()})
	if err != nil {
		release()
		return err
	}
	ended := make(chan string, 1)
	_, err = d.conn.StartUnitContext(ctx, d.unit(), "replace", ended)
	release()
	if err != nil {
		return err
	}
	result, err := d.await(ended)
	if err != nil {
		return err
	}
	if result != "done" {
		return fmt.Errorf("its start has ended as %q", result)
	}
	// A VM that is stopping is started anew.
	if state := states[0].ActiveState; atRest(state) || state == "deactivating" {
		return os.WriteFile(d.mark(), nil, 0o600)
	}
	return nil
}

// await waits for the end of a job. A connection that is gone, as after systemctl daemon-reexec, tells of none.
func (d demand) await(ended <-chan string) (string, error) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case result := <-ended:
			return result, nil
		case <-second.C:
			if !d.conn.Connected() {
				return "", errors.New("the connection to systemd is gone")
			}
		}
	}
}

// stop stops the VM if nobody uses it. It does not wait for the end.
func (d demand) stop(ctx context.Context) error {
	marked, release, err := d.lock()
	if err != nil || !marked {
		return err
	}
	defer release()
	users, err := d.users(ctx)
	if err != nil {
		return err
	}
	states, err := d.conn.ListUnitsByNamesContext(ctx, users)
	if err != nil {
		return err
	}
	for _, u := range states {
		if !atRest(u.ActiveState) || u.JobId != 0 {
			return nil
		}
	}
	fmt.Printf("stopping VM %s, which nobody has used for its idle_stop\n", d.vm)
	// In mode fail, systemd refuses what would undo a start that is queued.
	_, err = d.conn.StopUnitContext(ctx, d.unit(), "fail", nil)
	return err
}

// users returns the units that use the VM while they are not at rest: what carries connections, and the VMs that need it.
func (d demand) users(ctx context.Context) ([]string, error) {
	users := []string{"vmsilo-run@" + d.vm + ".service"}
	property, err := d.conn.GetUnitPropertyContext(ctx, d.unit(), "RequiredBy")
	if err != nil {
		return nil, err
	}
	units, _ := property.Value.Value().([]string)
	for _, unit := range units {
		if strings.HasPrefix(unit, "vmsilo@") {
			users = append(users, unit)
		}
	}
	return users, nil
}
