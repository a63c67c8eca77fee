package units

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/vmunit"
)

// Failure is a unit that has failed.
type Failure struct {
	Unit string
	// Result is how, in words.
	Result string
	// Began and Ended are when it last ran, and invocation is the journal's name for that run.
	Began, Ended time.Time
	invocation   string
}

// Failure returns the unit that keeps a VM from running: the one that failed first when the VM was last started. It is
// nil when none did. The VM itself must not be running.
func (m *Manager) Failure(ctx context.Context, vm string) (*Failure, error) {
	failed, err := m.ListUnitsByPatternsContext(ctx, []string{"failed"}, vmunit.Patterns(vm))
	if err != nil {
		return nil, err
	}
	began := m.timestamp(ctx, vmunit.Of(vm), "InactiveExitTimestamp")
	ended := m.timestamp(ctx, vmunit.Of(vm), "InactiveEnterTimestamp")
	var run, later *Failure
	for _, u := range failed {
		if _, part := vmunit.Split(u.Name); !vmunit.Keeps(part) {
			continue
		}
		f := &Failure{Unit: u.Name, Began: m.timestamp(ctx, u.Name, "InactiveExitTimestamp")}
		f.Ended = m.timestamp(ctx, u.Name, "InactiveEnterTimestamp")
		switch {
		case u.Name != vmunit.Of(vm) && f.Began.After(ended):
			// Since the VM last ran, somebody wanted to start it, and it did not come so far.
			later = first(later, f)
		case f.Ended.Before(began):
			// That of a run before the last one.
		default:
			run = first(run, f)
		}
	}
	if later != nil {
		run = later
	}
	if run != nil {
		run.Result = m.result(ctx, run.Unit)
		id, _ := get[[]byte](ctx, m, run.Unit, "Unit", "InvocationID")
		run.invocation = hex.EncodeToString(id)
	}
	return run, nil
}

// first returns the one that failed first; a may be nil.
func first(a, b *Failure) *Failure {
	if a == nil || b.Ended.Before(a.Ended) {
		return b
	}
	return a
}

// result tells in words how a unit ended: Result= of systemd.exec(5), "Environment Variables Set or Propagated by the
// Service Manager".
func (m *Manager) result(ctx context.Context, name string) string {
	kind := "Service"
	if strings.HasSuffix(name, ".socket") {
		kind = "Socket"
	}
	result, _ := get[string](ctx, m, name, kind, "Result")
	switch result {
	case "exit-code":
		// CLD_EXITED; where another command than the main one has failed, its status is not kept.
		code, _ := get[int32](ctx, m, name, kind, "ExecMainCode")
		if status, err := get[int32](ctx, m, name, kind, "ExecMainStatus"); err == nil && code == 1 && status != 0 {
			return fmt.Sprintf("it ended with exit status %d", status)
		}
		return "one of its commands failed"
	case "signal", "core-dump":
		status, _ := get[int32](ctx, m, name, kind, "ExecMainStatus")
		return fmt.Sprintf("it was killed by signal %d (%s)", status, unix.SignalName(unix.Signal(status)))
	case "timeout":
		return "it was not done in time"
	case "oom-kill":
		return "the memory was used up, and the kernel killed it"
	case "resources":
		return "systemd could not start it"
	case "":
		return "for a reason that systemd does not tell"
	default:
		return "systemd calls the reason " + result
	}
}

// Fresh reports whether systemd has read the file of a sound VM as it is now.
func (m *Manager) Fresh(ctx context.Context, vm string) bool {
	source, err := get[string](ctx, m, vmunit.Of(vm), "Unit", "SourcePath")
	stale, _ := get[bool](ctx, m, vmunit.Of(vm), "Unit", "NeedDaemonReload")
	return err != nil || source != "" && !stale
}
