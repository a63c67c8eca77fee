package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// maker starts a process that runs a shell script in dir; it ends when its standard input does.
func maker(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func TestAwait(t *testing.T) {
	for name, script := range map[string]string{
		"there before": "exec sleep 60",
		"created":      "sleep 0.1; touch file; exec sleep 60",
		"renamed":      "echo > new; sleep 0.1; mv new file; exec sleep 60",
		"noise":        "for i in 1 2 3 4 5 6 7 8 9; do touch other$i; done; touch file; exec sleep 60",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if name == "there before" {
				if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := waitFor(maker(t, dir, script).Process.Pid, filepath.Join(dir, "file")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAwaitProcessEnds(t *testing.T) {
	dir := t.TempDir()
	cmd := maker(t, dir, "sleep 0.1")
	if err := waitFor(cmd.Process.Pid, filepath.Join(dir, "file")); !errors.Is(err, errProcess) {
		t.Errorf("got %v", err)
	}
	_ = cmd.Wait()
	// Its number is free now.
	if err := waitFor(cmd.Process.Pid, filepath.Join(dir, "file")); !errors.Is(err, errProcess) {
		t.Errorf("got %v", err)
	}
}

func TestAwaitIsStopped(t *testing.T) {
	dir := t.TempDir()
	cmd := maker(t, dir, "exec sleep 60")
	// The signal is this process's own, which systemd would send when the time is up.
	maker(t, dir, "sleep 0.2; kill -TERM $PPID")
	if err := waitFor(cmd.Process.Pid, filepath.Join(dir, "file")); !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
}

// A stop ends the process, too, and may do so first.
func TestProcessIsStoppedFirst(t *testing.T) {
	dir := t.TempDir()
	cmd := maker(t, dir, "exec sleep 60")
	maker(t, dir, fmt.Sprintf("sleep 0.2; kill -TERM %d; kill -TERM $PPID", cmd.Process.Pid))
	if err := waitFor(cmd.Process.Pid, filepath.Join(dir, "file")); !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"file"}, {"--pid=1"}, {"--pid=x", "file"}, {"--pid=-1", "file"}} {
		if err := run(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
