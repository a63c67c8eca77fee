package runvmm

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A virtual machine is made although signals come, as Go's own do. Some in a hundred are in time to interrupt it.
func TestTryKVMSignals(t *testing.T) {
	if err := TryKVM(); err != nil {
		t.Skip("SKIP: a virtual machine needs KVM: ", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, over := unix.Gettid(), make(chan struct{})
	defer close(over)
	for range 2 {
		go func() {
			for {
				select {
				case <-over:
					return
				default:
					_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
				}
			}
		}()
	}
	for n := range 200 {
		if err := TryKVM(); err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
	}
}
