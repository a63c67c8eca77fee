package runvmm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/internal/command"
)

// Each way in which KVM is missing has its own words. What the VMM's user may not open is tests/scenarios/crosvm.sh's.
func TestNeedKVM(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file + ".none": `error: crosvm needs KVM: opening "` + file + `.none": no such file or directory` + "\nhint: load the module kvm_intel",
		file:           `error: crosvm needs KVM: making a virtual machine with "` + file + `": inappropriate ioctl for device` + "\nhint: the journal of the kernel",
		"/dev/null":    `making a virtual machine with "/dev/null"`,
	} {
		err := needKVM("crosvm", path)
		if err == nil || !strings.Contains(command.Text(err), want) || !strings.HasSuffix(command.Text(err), `hypervisor = "qemu"`) {
			t.Errorf("%s: %v", path, command.Text(err))
		}
	}
}
