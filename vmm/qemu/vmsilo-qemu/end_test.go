package main

import (
	"errors"
	"os/exec"
	"testing"

	"vmsilo/internal/command"
	"vmsilo/internal/runvmm"
)

// shell is a shell that stands for QEMU: it talks on file descriptor 3, and then runs a script.
func shell(script string) *exec.Cmd {
	return exec.Command("sh", "-c", `echo '{"QMP": {}}' >&3; read line <&3; echo '{"return": {}}' >&3; `+script)
}

func event(reason string) string {
	return `echo '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "` + reason + `"}}' >&3;`
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		code   int
		text   string
	}{
		"power off":       {event("guest-shutdown"), 0, ""},
		"reset":           {event("guest-reset"), 32, ""},
		"panic":           {event("guest-panic"), 34, "the guest's kernel has panicked"},
		"quit":            {event("host-qmp-quit"), 0, ""},
		"no event":        {`echo '{"event": "RTC_CHANGE", "data": {"reason": "guest-reset"}}' >&3`, 0, ""},
		"its own failure": {"exit 1", 1, ""},
		"killed":          {"kill -SEGV $$", 33, "QEMU was killed: segmentation fault"},
		"terminated":      {"kill -TERM $$", 0, ""},
		"nonsense":        {`echo '{{' >&3; echo '[1]' >&3; echo '{"event": 7, "data": 8}' >&3;` + event("guest-reset"), 32, ""},
		"a line too long": {"head -c 1000000 /dev/zero >&3", 0, ""},
		"says nothing":    {"exec 3>&-; exit 3", 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := runvmm.VMM{Name: "QEMU", Listen: listen}.Run(shell(c.script))
			var status *command.Status
			code, text := 0, ""
			if errors.As(err, &status) {
				code = status.Code
				if status.Err != nil {
					text = status.Err.Error()
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || text != c.text {
				t.Errorf("status %d, %q", code, text)
			}
		})
	}
}
