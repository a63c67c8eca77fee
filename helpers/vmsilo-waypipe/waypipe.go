package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// patience is how long waypipe may take until it listens.
const patience = 20 * time.Second

// waypipe is "waypipe client", once it has been started.
type waypipe struct {
	// folder holds its socket; display is the compositor's.
	folder, display string
	process         *exec.Cmd
	// ended is closed when it has ended.
	ended chan struct{}
}

func (w *waypipe) socket() string { return filepath.Join(w.folder, "socket") }

// start starts it, unless it runs. It is an error that it has ended.
func (w *waypipe) start() error {
	if w.process == nil {
		return w.run()
	}
	select {
	case <-w.ended:
		return fmt.Errorf("waypipe has ended: %s", w.process.ProcessState)
	default:
		return nil
	}
}

// run starts it. What it is told about compression and GPUs the guest's has to be told, too: docs/protocol.md.
func (w *waypipe) run() error {
	// No compression, since nothing is to be gained inside of one machine.
	cmd := exec.Command("waypipe", "--no-gpu", "--compress=none", "--threads=1", "--socket="+w.socket(), "client")
	cmd.Env = append(os.Environ(), "WAYLAND_DISPLAY="+w.display)
	cmd.Stderr = os.Stderr
	// It has a process for each connection, which are not left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return command.Errorf("Debian has it in the package waypipe", "starting waypipe: %w", err)
	}
	w.process, w.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(w.ended)
	}()
	return nil
}

// dial connects to it. It makes its socket when it has begun, and tells nobody: until then, this looks again and again.
func (w *waypipe) dial() (*net.UnixConn, error) {
	for end := time.Now().Add(patience); ; {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: w.socket(), Net: "unix"})
		if err == nil {
			return conn, nil
		}
		notYet := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EAGAIN)
		if !notYet || time.Now().After(end) {
			return nil, fmt.Errorf("connecting to waypipe: %w", err)
		}
		select {
		case <-w.ended:
			return nil, fmt.Errorf("waypipe has ended: %s", w.process.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// end ends it, with all of its processes.
func (w *waypipe) end() {
	if w.process == nil {
		return
	}
	_ = unix.Kill(-w.process.Process.Pid, unix.SIGKILL)
	<-w.ended
}
