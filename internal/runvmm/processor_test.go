package runvmm

import (
	"errors"
	"io/fs"
	"testing"
)

// Where KVM is, the loop ends, and a second look at the processor tells the same.
func TestTryProcessor(t *testing.T) {
	first := TryProcessor()
	if errors.Is(first, fs.ErrNotExist) {
		return
	}
	kvm, vm, err := openVM(device)
	if err != nil {
		t.Fatal(err)
	}
	took, err := spin(kvm, vm)
	if err != nil || took <= 0 || (took > fast) != (first != nil) {
		t.Errorf("%v, %v; before: %v", took, err, first)
	}
}
