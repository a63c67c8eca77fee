// Package control tells a VMM that runs what to do, through its control socket.
package control

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
	cloudhypervisor "vmsilo/vmm/cloudhypervisor/socket"
	crosvm "vmsilo/vmm/crosvm/socket"
	qemu "vmsilo/vmm/qemu/socket"
)

// VMM is what every VMM can be asked for. A request opens a connection of its own, and returns when the VMM has answered,
// which does not mean that the guest has heard of it.
type VMM interface {
	// PowerButton presses the VM's power button.
	PowerButton() error
	// Quit has the VMM end.
	Quit() error
	// Pause stops the guest's processors, and Resume has them go on. One of a VM that is so by now may be an error.
	Pause() error
	Resume() error
	// Balloon sets the size of the balloon in bytes: so much memory is taken from the guest as soon as it gives it.
	Balloon(size int64) error
	// Grow makes a disk larger, which is one of the configuration's disks, and tells the guest its new size in bytes.
	Grow(disk string, size int64) error
}

// sockets are the VMMs' control sockets, by the names that these have.
var sockets = []struct {
	name string
	vmm  func(path string) VMM
}{
	{qemu.Name, func(path string) VMM { return qemu.Socket(path) }},
	{crosvm.Name, func(path string) VMM { return crosvm.Socket(path) }},
	{cloudhypervisor.Name, func(path string) VMM { return cloudhypervisor.Socket(path) }},
}

// ErrNone is wrapped by the error for a VMM that cannot be asked for anything.
var ErrNone = errors.New("no VMM has a control socket")

// In returns the VMM that has put its control socket into folder.
func In(folder string) (VMM, error) {
	for _, s := range sockets {
		path := filepath.Join(folder, s.name)
		if err := unix.Access(path, unix.F_OK); err == nil {
			return s.vmm(path), nil
		}
	}
	return nil, fmt.Errorf("%w in %q", ErrNone, folder)
}
