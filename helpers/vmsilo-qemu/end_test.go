package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// TestMain is the program itself where a test runs it as one.
func TestMain(m *testing.M) {
	if script := os.Getenv("VMSILO_TEST_QEMU"); script != "" {
		os.Args = []string{"vmsilo-qemu", script}
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// qemu is a shell that stands for QEMU: it talks on file descriptor 3, and then runs a script.
func qemu(script string) *exec.Cmd {
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
			err := runQEMU(qemu(c.script))
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

// start runs the program with a QEMU that is a script, and returns both.
func start(t *testing.T, script string) (helper *exec.Cmd, qemu int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	helper = exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), "VMSILO_TEST_QEMU="+path)
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if pid, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if qemu, err = strconv.Atoi(pid); err != nil {
				t.Fatal(err)
			}
			return helper, qemu
		}
	}
	t.Fatal("no QEMU")
	return nil, 0
}

// QEMU does not outlive the program, even when that is killed.
func TestKilled(t *testing.T) {
	helper, qemu := start(t, "echo pid $$; exec sleep 60")
	process, err := unix.PidfdOpen(qemu, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	_ = helper.Process.Kill()
	_ = helper.Wait()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, 20000); n != 1 || err != nil {
		_ = unix.Kill(qemu, unix.SIGKILL)
		t.Errorf("QEMU goes on: %v", err)
	}
}

// Whoever ends the program ends QEMU, and the program waits for that.
func TestTerminated(t *testing.T) {
	helper, _ := start(t, "trap 'sleep 0.3; exit 7' TERM; echo pid $$; while :; do sleep 0.1; done")
	if err := helper.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := helper.Wait(); helper.ProcessState.ExitCode() != 7 {
		t.Errorf("got %v, want the script's status", err)
	}
}
