package runvmm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/kvm.h, for x86-64.
const (
	kvmGetVCPUMmapSize     = 0xae04
	kvmCreateVCPU          = 0xae41
	kvmSetUserMemoryRegion = 0x4020ae46
	kvmRun                 = 0xae80
	kvmSetRegs             = 0x4090ae82
	kvmGetSregs            = 0x8138ae83
	kvmSetSregs            = 0x4138ae84
	kvmExitHLT             = 5
)

// loop is for real mode: mov ecx,1000000; again: loopd again; hlt. A processor takes a millisecond or two for it.
var loop = []byte{0x66, 0xb9, 0x40, 0x42, 0x0f, 0x00, 0x67, 0xe2, 0xfd, 0xf4}

const (
	// fast is how much of this thread's time loop may take. In some virtual machines KVM is there and emulates every
	// instruction, in some hundred times as much; a guest's kernel takes minutes then, or hangs.
	fast = 40 * time.Millisecond
	// patience is how long it may take in all, also on a machine that is busy.
	patience = 5 * time.Second
)

// TryProcessor returns why a virtual machine that KVM has made does not run as fast as this processor does, or nil.
func TryProcessor() error {
	kvm, vm, err := openVM(device)
	if err != nil {
		return err
	}
	defer unix.Close(kvm)
	defer unix.Close(vm)
	took, err := spin(kvm, vm)
	if err != nil {
		return fmt.Errorf("running a virtual machine with %q: %w", device, err)
	}
	if took > fast {
		return fmt.Errorf("%q is slow: it has taken %v for what takes a processor two at most", device, took.Round(time.Millisecond))
	}
	return nil
}

// spin runs loop on the only processor of a virtual machine, and returns how much time of this thread that has taken.
func spin(kvm, vm int) (time.Duration, error) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(page)
	copy(page, loop)
	// struct kvm_userspace_memory_region: at the guest's address 0.
	region := struct {
		slot, flags      uint32
		guest, size      uint64
		userspaceAddress uint64
	}{size: uint64(len(page)), userspaceAddress: uint64(uintptr(unsafe.Pointer(&page[0])))}
	if _, err := ioctl(vm, kvmSetUserMemoryRegion, unsafe.Pointer(&region)); err != nil {
		return 0, err
	}
	size, err := ioctl(kvm, kvmGetVCPUMmapSize, nil)
	if err != nil {
		return 0, err
	}
	cpu, err := ioctl(vm, kvmCreateVCPU, nil)
	if err != nil {
		return 0, err
	}
	defer unix.Close(cpu)
	state, err := unix.Mmap(cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(state)
	if err := atZero(cpu); err != nil {
		return 0, err
	}
	return run(cpu, state)
}

// atZero has a processor begin at address 0.
func atZero(cpu int) error {
	// struct kvm_sregs begins with the code segment, a struct kvm_segment: its base, its limit, its selector.
	var special [312]byte
	if _, err := ioctl(cpu, kvmGetSregs, unsafe.Pointer(&special)); err != nil {
		return err
	}
	clear(special[:8])
	clear(special[12:14])
	if _, err := ioctl(cpu, kvmSetSregs, unsafe.Pointer(&special)); err != nil {
		return err
	}
	// struct kvm_regs ends with rip and rflags, of which bit 1 is always set.
	var general [144]byte
	general[136] = 1 << 1
	_, err := ioctl(cpu, kvmSetRegs, unsafe.Pointer(&general))
	return err
}

// run runs a processor until it halts. state is its struct kvm_run.
func run(cpu int, state []byte) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun, before := time.Now(), threadTime()
	// A signal has it return, should the processor never halt.
	wake := time.NewTicker(patience)
	defer wake.Stop()
	done := make(chan struct{})
	defer close(done)
	go func(thread int) {
		for {
			select {
			case <-wake.C:
				_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
			case <-done:
				return
			}
		}
	}(unix.Gettid())
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(cpu), kvmRun, 0)
		switch reason := binary.NativeEndian.Uint32(state[8:]); {
		case errno == unix.EINTR && time.Since(begun) < patience:
		case errno == unix.EINTR:
			return 0, errors.New("its processor does not halt")
		case errno != 0:
			return 0, errno
		case reason != kvmExitHLT:
			return 0, fmt.Errorf("its processor stops for reason %d", reason)
		default:
			return threadTime() - before, nil
		}
	}
}

// threadTime returns how long this thread has been on a processor.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// ioctl is ioctl(2), again when a signal interrupts it: Go has signals of its own.
func ioctl(fd int, request uintptr, argument unsafe.Pointer) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		if errno == 0 {
			return int(r), nil
		} else if errno != unix.EINTR {
			return 0, errno
		}
	}
}
