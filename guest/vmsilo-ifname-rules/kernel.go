package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is the network of the running kernel.
type kernel struct{}

func (kernel) Devices() ([]device, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var devices []device
	for _, i := range all {
		if _, err := os.Stat("/sys/class/net/" + i.Name + "/device"); err == nil {
			devices = append(devices, device{Index: i.Index, Name: i.Name, MAC: i.HardwareAddr.String()})
		}
	}
	return devices, nil
}

// ifreq is the struct ifreq of SIOCSIFNAME, see netdevice(7).
type ifreq struct {
	name    [unix.IFNAMSIZ]byte
	newName [unix.IFNAMSIZ]byte
	_       [8]byte
}

func (kernel) Rename(d *device, name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("renaming interface %s: %w", d.Name, err)
	}
	defer unix.Close(fd)
	var req ifreq
	copy(req.name[:unix.IFNAMSIZ-1], d.Name)
	copy(req.newName[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFNAME, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&req)
	if errno != 0 {
		return fmt.Errorf("renaming interface %s to %s: %w", d.Name, name, errno)
	}
	now, err := net.InterfaceByIndex(d.Index)
	if err != nil {
		return fmt.Errorf("renaming interface %s to %s: %w", d.Name, name, err)
	}
	d.Name = now.Name
	return nil
}
