package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vmsilo/internal/command"
	"vmsilo/internal/paths"
	"vmsilo/vmsilo/units"
)

// sockets is the folder of the VMs' sockets.
var sockets = paths.Runtime

// connect connects to one of a VM's sockets, kind being "run" or "console". Where that fails it finds out why.
func connect(name, kind string) (net.Conn, error) {
	if strings.ContainsRune(name, '/') {
		return nil, readConfig().unknown(name)
	}
	conn, err := dial(name, kind)
	if err == nil {
		return conn, nil
	}
	c := readConfig()
	switch {
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return nil, command.Errorf("only that user and root can run programs in it", "VM %q belongs to %s", name, c.owner(name))
	case !c.has(name):
		return nil, c.unknown(name)
	case c.errorsOf(name) != "":
		return nil, fmt.Errorf("the configuration of VM %q has errors:\n%s", name, c.errorsOf(name))
	case !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("connecting to VM %q: %w", name, err)
	}
	return listen(name, kind)
}

func dial(name, kind string) (net.Conn, error) {
	return net.Dial("unix", filepath.Join(sockets, name+"."+kind))
}

// maxStart is how long systemd may take to make a socket.
const maxStart = 10 * time.Second

// listen has systemd make a socket that is not there, as that of a VM which is new since the boot, and connects to it.
func listen(name, kind string) (net.Conn, error) {
	unit := "vmsilo-" + kind + "@" + name + ".socket"
	if err := start(unit); err != nil {
		return nil, command.Errorf("as root: systemctl start "+unit, "%s does not listen: %w", unit, err)
	}
	conn, err := dial(name, kind)
	if err != nil {
		return nil, fmt.Errorf("connecting to VM %q: %w", name, err)
	}
	return conn, nil
}

// start has systemd start a unit, and waits for it.
func start(unit string) error {
	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	m, err := units.Connect(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Start(ctx, unit)
}
