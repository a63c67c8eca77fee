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

// kvmCreateVM is KVM_CREATE_VM of linux/kvm.h.
const kvmCreateVM = 0xae01

// tryKVM returns why no virtual machine can be made with KVM, or nil.
func tryKVM(path string) error {
	kvm, vm, err := openVM(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Close(vm), unix.Close(kvm))
}

// openVM opens KVM's device and makes a virtual machine with it.
func openVM(path string) (kvm, vm int, err error) {
	if kvm, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return 0, 0, fmt.Errorf("opening %q: %w", path, err)
	}
	if vm, err = ioctl(kvm, kvmCreateVM, nil); err != nil {
		return 0, 0, errors.Join(fmt.Errorf("making a virtual machine with %q: %w", path, err), unix.Close(kvm))
	}
	return kvm, vm, nil
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
