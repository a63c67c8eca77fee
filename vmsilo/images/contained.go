package images

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// contained runs a command in mount and PID namespaces of its own: when it ends, or this process does, however that
// comes, all that it has started and mounted is gone. Its lines that begin with "I: ", which is how mmdebstrap says
// what it does, are told to say.
func contained(ctx context.Context, say func(string), env []string, args ...string) error {
	// The command dies with the thread that started it, which must not be one that ends early.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Killing it kills the namespace's PID 1, and to wait for that is to wait for all of it.
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `mount -t proc proc /proc && exec "$@"`, "sh"}, args...)...)
	cmd.Env = env
	var out stages
	out.say = say
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // Go makes the mounts private
		// Not in the terminal's group: who presses Ctrl-C talks to this process.
		Setpgid:   true,
		Pdeathsig: syscall.SIGKILL,
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("running %s: %w; it said:\n%s", args[0], err, out.tail())
	}
	return nil
}

// stages is a writer that keeps the last lines of what a command says, and tells the stages among them.
type stages struct {
	say     func(string)
	partial []byte
	lines   []string
}

// Write takes a part of the command's output.
func (s *stages) Write(data []byte) (int, error) {
	s.partial = append(s.partial, data...)
	for {
		line, rest, whole := bytes.Cut(s.partial, []byte("\n"))
		if !whole {
			return len(data), nil
		}
		s.partial = rest
		s.line(string(line))
	}
}

func (s *stages) line(line string) {
	if stage, ok := strings.CutPrefix(line, "I: "); ok {
		s.say(stage)
	}
	s.lines = append(s.lines, "    "+line)
	if len(s.lines) > 30 {
		s.lines = s.lines[1:]
	}
}

func (s *stages) tail() string {
	return strings.Join(append(s.lines, "    "+string(s.partial)), "\n")
}
