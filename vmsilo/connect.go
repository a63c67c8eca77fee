package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"vmsilo/internal/command"
	"vmsilo/internal/dial"
	"vmsilo/internal/paths"
)

// sockets is the folder of the VMs' sockets.
var sockets = paths.Runtime

// socketOf returns the path of one of a VM's sockets, kind being "run", "console" or "vmm".
func socketOf(name, kind string) string { return filepath.Join(sockets, name+"."+kind) }

// connect connects to one of a VM's sockets, for as long as its queue is full waiting for room. Where that fails it finds
// out why; the error wraps errDown when it is nothing but that the VM does not listen there.
func connect(name, kind string) (*net.UnixConn, error) {
	if strings.ContainsRune(name, '/') {
		return nil, readConfig().unknown(name)
	}
	conn, err := dial.Unix(socketOf(name, kind), 0)
	if err == nil {
		return conn, nil
	}
	c := readConfig()
	denied := errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
	switch {
	case denied && kind == "run" && c.mayHave(name) && !c.isOthers(name):
		// The socket is given to its user a moment after it has been made. Who is told that the VM is up has it.
		return nil, fmt.Errorf("connecting to VM %q: %w: %w", name, errDown, err)
	case denied:
		return nil, c.belongs(name, kind)
	case !c.mayHave(name):
		return nil, c.unknown(name)
	case c.errorsOf(name) != "":
		return nil, fmt.Errorf("the configuration of VM %q has errors:\n%s", name, c.errorsOf(name))
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED):
		if kind == "run" && c.isOthers(name) {
			return nil, c.belongs(name, kind)
		}
		return nil, fmt.Errorf("connecting to VM %q: %w: %w", name, errDown, err)
	}
	return nil, fmt.Errorf("connecting to VM %q: %w", name, err)
}

// errDown is the error of a socket behind which there is no VM.
var errDown = errors.New("it does not listen")

// may tells who may connect to each kind of a VM's sockets.
var may = map[string]string{
	"run":     "only that user and root can run programs in it",
	"console": "only that user and root can attach to its console",
	"vmm":     "only that user, root and members of group vmsilo control it",
}

// belongs returns the error for who may not connect to a VM's socket of that kind.
func (c configured) belongs(name, kind string) error {
	return command.Errorf(may[kind], "VM %q belongs to %s", name, c.owner(name))
}
