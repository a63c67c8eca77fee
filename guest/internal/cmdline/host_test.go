package cmdline

import (
	"path/filepath"
	"testing"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/vmm/known"
)

// What the host accepts the guest accepts, too: a parameter that it left out would be missing in silence.
func TestGuestTakesWhatTheHostSays(t *testing.T) {
	folders, err := filepath.Glob("../../../generator/vmsilo-generator/testdata/*/etc")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no case: %v", err)
	}
	vms := 0
	for _, folder := range folders {
		var machines []*machine.Machine
		for _, vm := range config.Load([]string{folder}, known.Hypervisors()).VMs {
			vm.KernelParams = nil
			machines = append(machines, machine.New(vm))
		}
		refused := machine.Check(machines)
		for _, vm := range machines {
			if refused[vm.Name] != nil {
				continue
			}
			vms++
			line := vm.KernelCommandLine("ttyS0")
			params, err := Parse(line)
			if err != nil || params.Malformed != nil || params.Name != vm.Name {
				t.Errorf("%s: %s: %v, %v", vm.Path, line, err, params.Malformed)
			}
			if len(params.Shares) != len(vm.SharedDirectories) || len(params.Interfaces) != len(vm.Interfaces) {
				t.Errorf("%s: %+v", line, params)
			}
		}
	}
	if vms < 20 {
		t.Errorf("%d VMs are few", vms)
	}
}
