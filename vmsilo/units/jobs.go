package units

import (
	"context"
	"slices"
	"strings"

	"vmsilo/internal/vmunit"
)

// Waits tells in words what the start of a VM is waiting for, that of the VMs that it depends on included.
func (m *Manager) Waits(ctx context.Context, vm string) []string {
	jobs, err := m.ListJobsContext(ctx)
	if err != nil {
		return nil
	}
	concerned := []string{vm}
	var words []string
	// The list grows while it is gone through.
	for i := 0; i < len(concerned); i++ {
		for _, j := range jobs {
			of, part := vmunit.Split(j.Unit)
			if of != concerned[i] || !strings.HasPrefix(j.Unit, "vmsilo") || !vmunit.Keeps(part) {
				continue
			}
			if j.Status == "running" {
				words = append(words, wait(part, j.JobType, of, vm))
			} else if part == "" {
				concerned = append(concerned, m.dependencies(ctx, of, concerned)...)
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// wait tells in words what a job does.
func wait(part, job, of, vm string) string {
	text := part
	switch word, name, _ := strings.Cut(part, " "); word {
	case "":
		text = "waiting for the guest"
	case "user":
		text = "the VM's user"
	case "netdev":
		text = "interface " + name
	case "vsock":
		text = "vsock device"
	}
	if job == "stop" {
		text = "waiting for the end of the last run"
	}
	if of != vm {
		text += " of " + of
	}
	return text
}

// dependencies returns the VMs that one depends on, but those of known.
func (m *Manager) dependencies(ctx context.Context, vm string, known []string) (vms []string) {
	required, _ := get[[]string](ctx, m, vmunit.Of(vm), "Unit", "Requires")
	for _, name := range required {
		if other, part := vmunit.Split(name); part == "" && strings.HasPrefix(name, "vmsilo@") && !slices.Contains(known, other) {
			vms = append(vms, other)
		}
	}
	return vms
}
