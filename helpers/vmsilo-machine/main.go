// Vmsilo-machine tells systemd-machined of a VM that runs, so that machinectl(1) has it.
//
// Synopsis:
//
//	vmsilo-machine VM
//
// Description:
//
// The machine's leader is the main process of vmsilo@VM.service, and its unit is that one: machinectl terminate stops it,
// and machinectl poweroff sends its process SIGRTMIN+4, which asks the guest to power off. systemd-machined forgets the
// machine with the unit. A VM that has ended by now, or a host without systemd-machined, is no error.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"vmsilo/internal/command"
	"vmsilo/internal/vmunit"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("want one VM, got %q", args)
	}
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return fmt.Errorf("connecting to the bus: %w", err)
	}
	defer conn.Close()
	if err := register(context.Background(), conn, args[0]); err != nil {
		return fmt.Errorf("telling systemd-machined of VM %q: %w", args[0], err)
	}
	return nil
}

// register tells of a VM: org.freedesktop.machine1(5). The machine has no root directory on the host, and no ID.
func register(ctx context.Context, conn *dbus.Conn, vm string) error {
	leader, err := mainPID(ctx, conn, vm)
	if err != nil || leader == 0 {
		return err
	}
	machined := conn.Object("org.freedesktop.machine1", "/org/freedesktop/machine1")
	err = machined.CallWithContext(ctx, "org.freedesktop.machine1.Manager.RegisterMachine", 0,
		vm, []byte{}, "vmsilo", "vm", leader, "").Err
	var answer dbus.Error
	if errors.As(err, &answer) && (answer.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || hasEnded(answer)) {
		return nil
	}
	return err
}

// hasEnded tells whether the leader is gone.
func hasEnded(e dbus.Error) bool { return e.Name == "System.Error.ESRCH" }

// mainPID returns the main process of a VM's unit, or 0 when it has none.
func mainPID(ctx context.Context, conn *dbus.Conn, vm string) (pid uint32, err error) {
	var unit dbus.ObjectPath
	systemd := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err = systemd.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.GetUnit", 0, vmunit.Of(vm)).Store(&unit)
	if err != nil {
		return 0, fmt.Errorf("asking systemd for its unit: %w", err)
	}
	err = conn.Object("org.freedesktop.systemd1", unit).StoreProperty("org.freedesktop.systemd1.Service.MainPID", &pid)
	return pid, err
}
