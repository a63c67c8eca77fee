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
// machine with the unit, which goes on when a guest reboots: then the machine is told of anew. A VM that has ended by now, or a
// host without systemd-machined, is no error.
package main

import (
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
	leader, err := mainPID(conn, args[0])
	if err == nil && leader != 0 {
		err = register(conn, args[0], leader)
	}
	if err != nil {
		return fmt.Errorf("telling systemd-machined of VM %q: %w", args[0], err)
	}
	return nil
}

// What is called here is described in org.freedesktop.machine1(5).
const (
	machine1 = "org.freedesktop.machine1"
	manager  = machine1 + ".Manager."
)

// register tells of a VM. The machine has no root directory on the host, and no ID.
func register(conn *dbus.Conn, vm string, leader uint32) error {
	machined := conn.Object(machine1, "/org/freedesktop/machine1")
	tell := func() error {
		return machined.Call(manager+"RegisterMachine", 0, vm, []byte{}, "vmsilo", "vm", leader, "").Err
	}
	err := tell()
	if nameOf(err) == machine1+".MachineExists" && isOurs(conn, machined, vm) {
		// That of the guest before its reboot.
		if err = machined.Call(manager+"UnregisterMachine", 0, vm).Err; err == nil || nameOf(err) == machine1+".NoSuchMachine" {
			err = tell()
		}
	}
	switch nameOf(err) {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "System.Error.ESRCH":
		return nil
	}
	return err
}

// isOurs tells whether the machine that has the VM's name is the VM.
func isOurs(conn *dbus.Conn, machined dbus.BusObject, vm string) bool {
	var path dbus.ObjectPath
	var unit string
	return machined.Call(manager+"GetMachine", 0, vm).Store(&path) == nil &&
		conn.Object(machine1, path).StoreProperty(machine1+".Machine.Unit", &unit) == nil && unit == vmunit.Of(vm)
}

// nameOf returns the name of a D-Bus error, or "".
func nameOf(err error) string {
	var answer dbus.Error
	_ = errors.As(err, &answer)
	return answer.Name
}

// mainPID returns the main process of a VM's unit, or 0 when it has none.
func mainPID(conn *dbus.Conn, vm string) (pid uint32, err error) {
	var unit dbus.ObjectPath
	systemd := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	if err := systemd.Call("org.freedesktop.systemd1.Manager.GetUnit", 0, vmunit.Of(vm)).Store(&unit); err != nil {
		return 0, fmt.Errorf("asking systemd for its unit: %w", err)
	}
	err = conn.Object("org.freedesktop.systemd1", unit).StoreProperty("org.freedesktop.systemd1.Service.MainPID", &pid)
	return pid, err
}
