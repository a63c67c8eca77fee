package main

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vmsilo/internal/runvmm"
)

// event is an event as cloud-hypervisor writes it.
func event(source, name string) string {
	return "{\n  \"timestamp\": {\n    \"secs\": 2,\n    \"nanos\": 568782196\n  },\n  \"source\": \"" + source +
		"\",\n  \"event\": \"" + name + "\",\n  \"properties\": null\n}\n\n"
}

func TestListen(t *testing.T) {
	start := event("vmm", "starting") + event("vm", "booted")
	for name, c := range map[string]struct {
		said string
		want runvmm.End
	}{
		"power off":       {start + event("vm", "shutdown") + event("vm", "deleted"), runvmm.Unsaid},
		"reboot":          {start + event("vm", "rebooting") + event("vm", "rebooted"), runvmm.Reset},
		"panic":           {start + event("guest", "panic") + event("vm", "rebooting"), runvmm.Panic},
		"another source":  {start + event("guest", "rebooting") + event("vm", "panic"), runvmm.Unsaid},
		"nothing":         {"", runvmm.Unsaid},
		"nonsense":        {"{{\n\n[1]\n\n{\"source\": 7}\n\n" + event("vm", "rebooting"), runvmm.Reset},
		"a line too long": {strings.Repeat("x", 1000000) + event("vm", "rebooting"), runvmm.Unsaid},
	} {
		t.Run(name, func(t *testing.T) {
			killed := false
			vmm := struct {
				io.Reader
				io.Writer
			}{strings.NewReader(c.said), io.Discard}
			booted := make(chan bool, 1)
			if end := listen(vmm, func() { booted <- true }, func() { killed = true }); end != c.want {
				t.Errorf("got %v, want %v", end, c.want)
			}
			if killed != (c.want != runvmm.Unsaid) {
				t.Errorf("killed: %v", killed)
			}
			if strings.HasPrefix(c.said, start) {
				select {
				case <-booted:
				case <-time.After(20 * time.Second):
					t.Error("nobody hears that it has booted")
				}
			}
		})
	}
}

// There is one guest, however often it is said to have booted.
func TestBootedOnce(t *testing.T) {
	booted := make(chan bool, 100)
	end := strings.NewReader(strings.Repeat(event("vm", "booted"), 100))
	listen(end, func() { booted <- true }, func() {})
	<-booted
	select {
	case <-booted:
		t.Error("it boots again")
	case <-time.After(100 * time.Millisecond):
	}
}

// What goes on after a reboot ends, and says so in its status.
func TestReboot(t *testing.T) {
	script := "printf '" + strings.ReplaceAll(event("vm", "rebooting"), "\n", "\\n") + "' >&3; exec sleep 60"
	if err := cloudHypervisor(func() {}).Run(exec.Command("sh", "-c", script)); err == nil || err.Error() != "exit status 32" {
		t.Errorf("%v", err)
	}
}
