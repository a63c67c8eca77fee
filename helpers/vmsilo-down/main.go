// Vmsilo-down stops what is loaded of a VM when it has ended.
//
// Synopsis:
//
//	vmsilo-down VM
//
// Description:
//
// It asks systemd for the units of the VM's parts by their names, so that it finds those, too, whose configuration is
// gone by now, stops them, and waits until they have ended. Before that it removes the mark of a VM that was started on
// demand, /run/vmsilo/.on-demand/VM.
//
// A VM whose guest reboots keeps the mark, the timer of its idleness, and its parts, which its restart restarts. One whose
// start somebody has asked for meanwhile keeps its parts, too: what it needs is not stopped, and its start made a restart. But
// a part whose own start is still under way because the VM's has failed with another part is stopped all the same.
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
	godbus "github.com/godbus/dbus/v5"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("want one VM, got %q", args)
	}
	ctx := context.Background()
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	if err := down(ctx, conn, args[0]); err != nil {
		return fmt.Errorf("stopping what is left of VM %q: %w", args[0], err)
	}
	return nil
}

// reset is the exit status of a VMM whose guest has asked for one: RestartForceExitStatus= of vmsilo@.service.
const reset = int32(32)

// brokers, clocks and parts are the names of the units of a VM, which %s stands for.
var (
	brokers = []string{"vmsilo-run@%s.socket", "vmsilo-run@%s.service"}
	// Of the two that the other's end starts, one runs. To stop the timer later would meet the start of it that is queued, and
	// that comes to nothing without the mark.
	clocks = []string{"vmsilo-idle@%s.timer"}
	parts  = []string{
		"vmsilo-console@%s.socket", "vmsilo-console@%s.service",
		"vmsilo-vmm@%s.socket", "vmsilo-vmm@%s.service",
		"vmsilo-waypipe@%s.socket", "vmsilo-waypipe@%s.service",
		"vmsilo-proxy@%s.socket", "vmsilo-proxy@%s.service",
		"vmsilo-notify@%s.socket", "vmsilo-notify@%s.service",
		"vmsilo-lend@%s.socket", "vmsilo-lend@%s.service",
		"vmsilo-sound@%s.service", "vmsilo-pipewire@%s.socket", "vmsilo-pipewire@%s.service",
		"vmsilo-share@%s:*.socket", "vmsilo-share@%s:*.service",
		"vmsilo-home@%s.service", "vmsilo-vsock@%s.service",
		"vmsilo-netdev@%s:*.service", "vmsilo-netvm@%s:*.service", "vmsilo-pci@%s.service",
		"vmsilo-disk@%s.service", "vmsilo-user@%s.service",
	}
)

func down(ctx context.Context, conn *dbus.Conn, vm string) error {
	unit := "vmsilo@" + vm + ".service"
	states, err := conn.ListUnitsByNamesContext(ctx, []string{unit})
	if err != nil {
		return err
	}
	// A guest that reboots. The job comes when RestartSec= is over, and restarts the parts.
	if strings.HasPrefix(states[0].SubState, "auto-restart") {
		return nil
	}
	status, err := conn.GetUnitTypePropertyContext(ctx, states[0].Name, "Service", "ExecMainStatus")
	if err != nil {
		return err
	}
	if status.Value.Value() == reset && startIsQueued(states[0]) {
		// The job has come. The broker is no part, and would be in the way of its socket.
		return stopAll(ctx, conn, vm, brokers)
	}
	// The mark goes first: the end of the broker looks for it.
	if err = os.Remove(filepath.Join(paths.OnDemand, vm)); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, stopAll(ctx, conn, vm, slices.Concat(brokers, clocks)), stopAll(ctx, conn, vm, parts), renew(ctx, conn, unit))
}

// renew makes a start of the VM that waits for this clean-up a restart, so that no part is that of the run which is over.
func renew(ctx context.Context, conn *dbus.Conn, unit string) error {
	states, err := conn.ListUnitsByNamesContext(ctx, []string{unit})
	if err == nil && states[0].JobType == "start" {
		_, err = conn.RestartUnitContext(ctx, unit, "replace", nil)
	}
	return err
}

// startIsQueued reports whether a unit has a job that starts it. Any other job only looks whether it is up.
func startIsQueued(u dbus.UnitStatus) bool { return u.JobType == "start" || u.JobType == "restart" }

// stopAll stops those of some parts that are loaded, and waits until they have ended.
func stopAll(ctx context.Context, conn *dbus.Conn, vm string, some []string) error {
	patterns := make([]string, len(some))
	for i, p := range some {
		patterns[i] = fmt.Sprintf(p, vm)
	}
	units, err := conn.ListUnitsByPatternsContext(ctx, nil, patterns)
	if err != nil {
		return err
	}
	ended := make(chan string, len(units))
	stopping := 0
	var errs []error
	for _, u := range units {
		if (u.ActiveState == "inactive" || u.ActiveState == "failed") && u.JobId == 0 {
			continue
		}
		accepted, err := stop(ctx, conn, vm, u.Name, ended)
		errs = append(errs, err)
		if accepted {
			stopping++
		}
	}
	return errors.Join(append(errs, await(conn, ended, stopping))...)
}

// await waits for the ends of so many jobs. A connection that is gone, as after systemctl daemon-reexec, tells of none.
func await(conn *dbus.Conn, ended <-chan string, count int) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for count > 0 {
		select {
		case <-ended:
			count--
		case <-second.C:
			if !conn.Connected() {
				return errors.New("the connection to systemd is gone")
			}
		}
	}
	return nil
}

// stop asks for a unit's stop, and reports whether it will come and say so on ended.
func stop(ctx context.Context, conn *dbus.Conn, vm, unit string, ended chan<- string) (bool, error) {
	// In mode fail, systemd refuses what would undo a start that is queued.
	_, err := conn.StopUnitContext(ctx, unit, "fail", ended)
	if err == nil || isGone(err) {
		return err == nil, nil
	}
	queued, err := conn.ListUnitsByNamesContext(ctx, []string{"vmsilo@" + vm + ".service"})
	if err != nil {
		return false, err
	}
	if len(queued) == 1 && startIsQueued(queued[0]) {
		return false, nil
	}
	_, err = conn.StopUnitContext(ctx, unit, "replace", ended)
	if isGone(err) {
		return false, nil
	}
	return err == nil, err
}

// isGone reports whether err says that there is no such unit any more: it has ended by itself since it was listed.
func isGone(err error) bool {
	var answer godbus.Error
	return errors.As(err, &answer) && answer.Name == "org.freedesktop.systemd1.NoSuchUnit"
}
