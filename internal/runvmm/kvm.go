package runvmm

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// device is KVM's.
const device = "/dev/kvm"

// kvmCreateVM is KVM_CREATE_VM of linux/kvm.h: _IO(KVMIO, 0x01).
const kvmCreateVM = 0xae01

// TryKVM returns why no virtual machine can be made with KVM, or nil.
func TryKVM() error { return tryKVM(device) }

func tryKVM(path string) error {
	kvm, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %q: %w", path, err)
	}
	defer unix.Close(kvm)
	vm, err := unix.IoctlRetInt(kvm, kvmCreateVM)
	// A signal interrupts it, and Go has signals of its own.
	for errors.Is(err, unix.EINTR) {
		vm, err = unix.IoctlRetInt(kvm, kvmCreateVM)
	}
	if err != nil {
		return fmt.Errorf("making a virtual machine with %q: %w", path, err)
	}
	return unix.Close(vm)
}

// NeedKVM returns the error of a VMM that cannot do without KVM where there is none, or nil.
func NeedKVM(vmm string) error { return needKVM(vmm, device) }

func needKVM(vmm, path string) error {
	err := tryKVM(path)
	var hint string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		hint = "load the module kvm_intel or kvm_amd, and have the firmware allow virtualization"
	case errors.Is(err, fs.ErrPermission):
		hint = "let the group kvm read and write it, as udev's rules do: chgrp kvm " + path + "; chmod g+rw " + path
	default:
		hint = "the journal of the kernel may say why: journalctl --dmesg --grep=kvm"
	}
	return command.Errorf(hint+`; or emulate the processor, which is slow: hypervisor = "qemu"`, "%s needs KVM: %w", vmm, err)
}
