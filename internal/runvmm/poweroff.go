package runvmm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"vmsilo/internal/paths"
)

// powerOff is what machinectl poweroff sends to the leader of a machine: SIGRTMIN+4 of systemd(1), where SIGRTMIN is the
// C library's, 34.
const powerOff = syscall.Signal(34 + 4)

// stopCommand returns what ends the VM as the ExecStop= of vmsilo@.service does, with what systemd has told this service of
// itself; or nil where it has not.
func stopCommand() *exec.Cmd {
	folder := os.Getenv("RUNTIME_DIRECTORY")
	if folder == "" {
		return nil
	}
	stop := exec.Command(
		paths.Helper("vmsilo-stop"), fmt.Sprintf("--pid=%d", os.Getpid()), "--timeout="+os.Getenv("STOP_TIMEOUT"),
		"--vsock="+filepath.Join(filepath.Dir(folder), "vsock", "host.sock"), folder,
	)
	stop.Stdout, stop.Stderr = os.Stdout, os.Stderr
	return stop
}

// obey does what signals ask for: a stop of the VM, once, or the end of the VMM.
func obey(signals <-chan os.Signal, vmm *os.Process) {
	stop := stopCommand()
	for s := range signals {
		switch {
		case s != powerOff || stop == nil:
			_ = vmm.Signal(syscall.SIGTERM)
		case stop.Process == nil:
			fmt.Println("asked to power off")
			if err := stop.Start(); err != nil {
				fmt.Fprintln(os.Stderr, "error: stopping the VM:", err)
			}
		}
	}
}
