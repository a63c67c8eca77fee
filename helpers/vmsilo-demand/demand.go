package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"vmsilo/internal/paths"
	"vmsilo/internal/vmunit"
)

// demand is what is wanted of one VM.
type demand struct {
	conn *dbus.Conn
	vm   string
	// begun are the VMs for which nobody had asked before this did: this one, and those that it needs.
	begun []string
}

// unit is the VM's own.
func (d *demand) unit() string { return vmunit.Of(d.vm) }

// broker is the unit that leads to the guest, and door the one by which they come.
func (d *demand) broker() string { return brokerOf(d.vm) }
func (d *demand) door() string   { return "vmsilo-run@" + d.vm + ".socket" }

// clock is the timer of the VM's idleness.
func (d *demand) clock() string { return "vmsilo-idle@" + d.vm + ".timer" }

func brokerOf(vm string) string { return "vmsilo-run@" + vm + ".service" }

// markOf is the path of a VM's mark. It outlasts a reboot of the guest: vmsilo-down removes it when the VM has ended.
func markOf(vm string) string { return filepath.Join(paths.OnDemand, vm) }

// user returns whose the VM is, by name or uid. The template has root, and only the generator's drop-in for a VM that can
// be built somebody else.
func (d *demand) user(ctx context.Context) (string, error) {
	property, err := d.conn.GetUnitTypePropertyContext(ctx, d.door(), "Socket", "Environment")
	if err != nil {
		return "", fmt.Errorf("asking systemd whose VM %q is: %w", d.vm, err)
	}
	variables, _ := property.Value.Value().([]string)
	for _, variable := range variables {
		if user, ok := strings.CutPrefix(variable, "VM_USER="); ok && user != "0" {
			return user, nil
		}
	}
	return "", fmt.Errorf("systemd knows no VM %q, or its file is wrong; to see why: vmsilo why %s", d.vm, d.vm)
}

// startFor starts the VM for who asks, if they may.
func (d *demand) startFor(ctx context.Context, by peer) error {
	user, err := d.user(ctx)
	if err != nil {
		return err
	}
	if may, err := by.mayStart(user, group); err != nil {
		return err
	} else if !may {
		return fmt.Errorf("VM %q belongs to user %s: only that user, root and group %s start it", d.vm, user, group)
	}
	return d.start(ctx)
}

// lock takes the mark for this process alone, until release is called, so that a start is asked for before a stop has
// looked whether there is one, or after it has been asked for. Without a mark there is nothing to take.
func (d *demand) lock() (marked bool, release func(), err error) {
	f, err := os.Open(markOf(d.vm))
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

// start starts the VM, and then the broker: who asks will be connected to at once, and the end of the broker is the
// beginning of the VM's idleness, also when nobody connects.
func (d *demand) start(ctx context.Context) error {
	err := d.startVM(ctx)
	for _, vm := range d.begun {
		// Those that it needs may be up without it.
		if err == nil || vm != d.vm {
			err = errors.Join(err, d.leaveMark(ctx, vm))
		}
	}
	if err != nil {
		return fmt.Errorf("VM %q could not be started: %w; to see why: vmsilo why %s", d.vm, err, d.vm)
	}
	ended := make(chan string, 1)
	if _, err := d.conn.StartUnitContext(ctx, d.broker(), "replace", ended); err != nil {
		return fmt.Errorf("VM %q cannot be connected to: %w", d.vm, err)
	}
	if err := d.await(d.broker(), ended); err != nil {
		return fmt.Errorf("VM %q cannot be connected to: %w", d.vm, err)
	}
	return nil
}

// leaveMark leaves the mark of a VM, but of one that has ended since: what removes it may have been there by then. The
// idleness of another than the one that is wanted begins by its broker's end, too.
func (d *demand) leaveMark(ctx context.Context, vm string) error {
	if err := os.WriteFile(markOf(vm), nil, 0o600); err != nil {
		return err
	}
	states, err := d.conn.ListUnitsByNamesContext(ctx, []string{vmunit.Of(vm)})
	switch {
	case err != nil:
	case atRest(states[0].ActiveState):
		_ = os.Remove(markOf(vm)) // unless vmsilo-down has
		if vm == d.vm {
			err = errors.New("it has ended at once")
		}
	case vm != d.vm:
		_, err = d.conn.StartUnitContext(ctx, brokerOf(vm), "replace", nil)
	}
	return err
}

// startVM starts the VM and waits for it. A VM that is being stopped has to end first: to replace that by a start would
// have its parts, whose stops wait for its own, stopped under the guest.
func (d *demand) startVM(ctx context.Context) error {
	for {
		ended := make(chan string, 1)
		err := d.ask(ctx, ended)
		if !errors.Is(err, errStopping) {
			if err == nil {
				err = d.await(d.unit(), ended)
			}
			return err
		}
		// systemd starts nothing that is ordered with a unit before that has been stopped. The VM's end starts this anyway.
		down := "vmsilo-down@" + d.vm + ".service"
		if _, err := d.conn.StartUnitContext(ctx, down, "replace", ended); err != nil {
			return err
		}
		if err := d.await(down, ended); err != nil {
			return err
		}
	}
}

// errStopping is the error of a VM that is being stopped.
var errStopping = errors.New("it is being stopped")

// ask asks systemd for the VM, of whose start the end is told on ended.
func (d *demand) ask(ctx context.Context, ended chan<- string) error {
	_, release, err := d.lock()
	if err != nil {
		return err
	}
	defer release()
	vms, err := d.needed(ctx)
	if err != nil {
		return err
	}
	units := make([]string, len(vms))
	for i, vm := range vms {
		units[i] = vmunit.Of(vm)
	}
	states, err := d.conn.ListUnitsByNamesContext(ctx, units)
	if err != nil {
		return err
	}
	if states[0].JobType == "stop" {
		return errStopping
	}
	if _, err := d.conn.StartUnitContext(ctx, d.unit(), "replace", ended); err != nil {
		return err
	}
	for i, before := range states {
		if !isUp(before) && !slices.Contains(d.begun, vms[i]) {
			d.begun = append(d.begun, vms[i])
		}
	}
	if states[0].ActiveState == "active" {
		// What would stop the VM must see that it is wanted.
		_, err = d.conn.StartUnitContext(ctx, d.broker(), "replace", nil)
	}
	return err
}

// isUp reports whether a VM runs, or is about to, and stays so.
func isUp(u dbus.UnitStatus) bool {
	if u.JobId != 0 {
		return u.JobType != "stop"
	}
	return u.ActiveState == "active" || u.ActiveState == "activating"
}

// needed returns the VM and those that its start starts, be it that they are required or wanted.
func (d *demand) needed(ctx context.Context) ([]string, error) {
	vms := []string{d.vm}
	// The list grows while it is gone through.
	for i := 0; i < len(vms); i++ {
		for _, property := range []string{"Requires", "Wants"} {
			p, err := d.conn.GetUnitPropertyContext(ctx, vmunit.Of(vms[i]), property)
			if err != nil {
				return nil, err
			}
			units, _ := p.Value.Value().([]string)
			for _, unit := range units {
				if vm, _ := vmunit.Split(unit); strings.HasPrefix(unit, "vmsilo@") && !slices.Contains(vms, vm) {
					vms = append(vms, vm)
				}
			}
		}
	}
	return vms, nil
}

// stop stops the VM if nobody uses it, or has the time of its idleness begin anew. It does not wait for the end.
func (d *demand) stop(ctx context.Context) error {
	marked, release, err := d.lock()
	if err != nil || !marked {
		return err
	}
	defer release()
	stopping, err := d.stopUnused(ctx)
	if !stopping {
		err = errors.Join(err, d.again(ctx))
	}
	return err
}

// again starts the timer that has brought this here once more, but not one that has been stopped meanwhile: to start that
// would stop the broker. In mode fail, systemd refuses to undo a start of the latter that is queued, at whose end the timer
// begins anyway.
func (d *demand) again(ctx context.Context) error {
	_, err := d.conn.TryRestartUnitContext(ctx, d.clock(), "fail", nil)
	if refused := (godbus.Error{}); errors.As(err, &refused) && refused.Name == "org.freedesktop.systemd1.TransactionIsDestructive" {
		return nil
	}
	return err
}

// stopUnused stops the VM if nobody uses it, and reports whether it does. Who comes between a look and the stop would be cut
// off: the door is shut first, so that they ask for the VM, and get it anew, and then it looks again.
func (d *demand) stopUnused(ctx context.Context) (stopping bool, err error) {
	if used, err := d.used(ctx); err != nil || used {
		return false, err
	}
	shut := make(chan string, 1)
	if _, err := d.conn.StopUnitContext(ctx, d.door(), "fail", shut); err != nil {
		return false, err
	}
	// Who has the door open again uses the VM.
	_ = d.await(d.door(), shut)
	used, err := d.used(ctx)
	if err == nil && !used {
		fmt.Printf("stopping VM %s, which nobody has used for its idle_stop\n", d.vm)
		// In mode fail, systemd refuses what would undo a start that is queued.
		_, err = d.conn.StopUnitContext(ctx, d.unit(), "fail", nil)
	}
	if err != nil || used {
		_, opened := d.conn.StartUnitContext(ctx, d.door(), "replace", nil)
		return false, errors.Join(err, opened)
	}
	return true, nil
}

// used reports whether somebody uses the VM, or is about to.
func (d *demand) used(ctx context.Context) (bool, error) {
	users, err := d.users(ctx)
	if err != nil {
		return false, err
	}
	states, err := d.conn.ListUnitsByNamesContext(ctx, users)
	return slices.ContainsFunc(states, func(u dbus.UnitStatus) bool { return !atRest(u.ActiveState) || u.JobId != 0 }), err
}

// users returns the units that use the VM while they are not at rest: the broker, the VMs that need it, and what
// stands for each VM whose netvm it is.
func (d *demand) users(ctx context.Context) ([]string, error) {
	users := []string{d.broker()}
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
	clients, err := d.conn.ListUnitsByPatternsContext(ctx, nil, []string{"vmsilo-netvm@*:" + d.vm + ".service"})
	for _, unit := range clients {
		users = append(users, unit.Name)
	}
	return users, err
}
