package runvmm

import (
	"bufio"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// TestMain is a helper where a test runs it as one.
func TestMain(m *testing.M) {
	if script := os.Getenv("VMSILO_TEST_VMM"); script != "" {
		command.Main(func([]string) error {
			return Main(flag.NewFlagSet("helper", flag.ContinueOnError), []string{script}, func() (VMM, error) {
				return VMM{Name: "the VMM", Listen: silent}, nil
			})
		})
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// silent hears nothing of how a guest ends.
func silent(vmm io.ReadWriter, _ func()) End {
	_, _ = io.Copy(io.Discard, vmm)
	return Unsaid
}

// start runs a helper with a VMM that is a script, and returns both.
func start(t *testing.T, script string) (helper *exec.Cmd, vmm int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vmm")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	helper = exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), "VMSILO_TEST_VMM="+path)
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if pid, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if vmm, err = strconv.Atoi(pid); err != nil {
				t.Fatal(err)
			}
			return helper, vmm
		}
	}
	t.Fatal("no VMM")
	return nil, 0
}

// The VMM does not outlive the helper, even when that is killed.
func TestKilled(t *testing.T) {
	helper, vmm := start(t, "echo pid $$; exec sleep 60")
	process, err := unix.PidfdOpen(vmm, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	_ = helper.Process.Kill()
	_ = helper.Wait()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, 20000); n != 1 || err != nil {
		_ = unix.Kill(vmm, unix.SIGKILL)
		t.Errorf("the VMM goes on: %v", err)
	}
}

// Whoever ends the helper ends the VMM, and the helper waits for that. So does who asks for a power-off where it is not
// known how: tests/scenarios/status.sh has the rest.
func TestTerminated(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, powerOff} {
		helper, _ := start(t, "trap 'sleep 0.3; exit 7' TERM; echo pid $$; while :; do sleep 0.1; done")
		if err := helper.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := helper.Wait(); helper.ProcessState.ExitCode() != 7 {
			t.Errorf("%v: got %v, want the script's status", signal, err)
		}
	}
}

// A VMM that leaves a child behind, which has its file descriptors, has ended all the same.
func TestChild(t *testing.T) {
	begun := time.Now()
	err := VMM{Name: "the VMM", Listen: silent}.Run(exec.Command("sh", "-c", "sleep 60 & exit 32"))
	var status *command.Status
	if !errors.As(err, &status) || status.Code != 32 || time.Since(begun) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

// A VMM that fails at once, and is too old, is named with its version.
func TestTooOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vmm")
	for name, c := range map[string]struct{ script, want string }{
		"old":      {`[ "$1" != --version ] || exec echo "QEMU emulator version 5.2.0 (Debian 1:5.2)"; exit 3`, " is QEMU 5.2.0, which is too old: 6.0 or later is needed"},
		"older":    {`[ "$1" != --version ] || exec echo v5; exit 3`, " is QEMU 5, which is too old: 6.0 or later is needed"},
		"new":      {`[ "$1" != --version ] || exec echo 10.0.2; exit 3`, ""},
		"as old":   {`[ "$1" != --version ] || exec echo 6; exit 3`, ""},
		"silent":   {`exit 3`, ""},
		"succeeds": {`[ "$1" != --version ] || exec echo 5.2`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+c.script), 0o700); err != nil {
				t.Fatal(err)
			}
			err := VMM{Name: "QEMU", Oldest: "6.0", Listen: silent}.Run(exec.Command(path))
			var status *command.Status
			switch {
			case c.want != "" && (!errors.As(err, &status) || status.Code != 3 || status.Err == nil || err.Error() != strconv.Quote(path)+c.want):
				t.Errorf("%v", err)
			case c.want == "" && errors.As(err, &status) && status.Err != nil:
				t.Errorf("%v", err)
			}
		})
	}
}

// Each end of a guest is an exit status, whatever became of the VMM.
func TestStatus(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		end    End
		code   int
	}{
		"power off":     {"exit 0", Unsaid, 0},
		"failure":       {"exit 3", Unsaid, 3},
		"its own reset": {"exit 32", Unsaid, 32},
		"killed":        {"kill -SEGV $$", Unsaid, 33},
		"terminated":    {"kill -TERM $$", Unsaid, 0},
		"reset":         {"exit 0", Reset, 32},
		"panic":         {"exit 0", Panic, 34},
	} {
		t.Run(name, func(t *testing.T) {
			err := VMM{Listen: func(io.ReadWriter, func()) End { return c.end }}.Run(exec.Command("sh", "-c", c.script))
			code := 0
			var status *command.Status
			if errors.As(err, &status) {
				code = status.Code
			}
			if code != c.code {
				t.Errorf("%v", err)
			}
		})
	}
	// The VMM is killed by what listens to it.
	err := VMM{Listen: func(_ io.ReadWriter, kill func()) End {
		kill()
		return Reset
	}}.Run(exec.Command("sleep", "60"))
	if err == nil || err.Error() != "exit status 32" {
		t.Errorf("%v", err)
	}
}

// Nothing is started, and nothing waited for, when a file is not what it is said to be.
func TestRefused(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, []byte("QFI\xfb"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, option := range map[string]string{
		"has the header of qcow2":      "--disk=root,raw,ro=" + raw,
		"cannot be borrowed: no --len": "--lent=disk a,raw,ro=/a",
	} {
		err := Main(flag.NewFlagSet("helper", flag.ContinueOnError), []string{option, "--await=" + raw + "-none", "true"}, func() (VMM, error) {
			t.Error("the VMM is prepared")
			return VMM{}, errors.New("prepared")
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
