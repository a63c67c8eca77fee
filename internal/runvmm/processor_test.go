package runvmm

import "testing"

// Where KVM makes a machine, the loop ends, and a second look at the processor tells the same. Where it makes none, that is the
// reason that is told.
func TestTryProcessor(t *testing.T) {
	first := TryProcessor()
	kvm, vm, err := openVM(device)
	if err != nil {
		t.Logf("NO KVM HERE, no processor was tried: %v", err)
		if first == nil || first.Error() != err.Error() {
			t.Errorf("%v, want %v", first, err)
		}
		return
	}
	took, err := spin(kvm, vm)
	if err != nil || took <= 0 || (took > fast) != (first != nil) {
		t.Errorf("%v, %v; before: %v", took, err, first)
	}
}
