package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// start starts what the host asks for with the environment of the session.
func start(asked protocol.Program, env []string, groups *groups) (*program, error) {
	c, err := prepare(asked, env)
	if err != nil {
		return nil, err
	}
	g, err := groups.take()
	if err != nil {
		return nil, err
	}
	p := &program{group: g}
	if p.streams, err = openStreams(asked.Terminal); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	pidfd := -1
	p.pid, _, err = syscall.StartProcess(c.path, c.args, &syscall.ProcAttr{
		Dir: c.dir, Env: c.env, Files: p.files(),
		// A session of its own, so that its process group and its terminal are nobody else's.
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: asked.Terminal != nil,
			UseCgroupFD: true, CgroupFD: g.folder,
			PidFD: &pidfd,
		},
	})
	if p.terminal == nil {
		p.closeTheirs()
	}
	if err == nil {
		p.process, err = pollable(pidfd)
		if err != nil {
			// Without a way to see its end it must not run.
			_ = g.end()
			_, _ = unix.Wait4(p.pid, nil, 0, nil)
		}
	}
	if err != nil {
		p.close()
		return nil, errors.Join(refusal(c.path, err), g.remove())
	}
	p.input = newInput(p.stdin)
	if p.terminal != nil {
		p.input = newInput(nil)
	}
	return p, nil
}

// invocation is a program, and where and with what it runs.
type invocation struct {
	path, dir string
	args, env []string
}

// prepare finds the program and where it runs.
func prepare(asked protocol.Program, env []string) (invocation, error) {
	env = merge(env, asked.Env)
	dir := asked.Directory
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(value(env, "HOME"), dir)
	}
	if err := checkDirectory(dir); err != nil {
		return invocation{}, fmt.Errorf("cannot start in %q: %w", dir, err)
	}
	args := asked.Args
	if len(args) == 0 {
		args = []string{value(env, "SHELL")}
	}
	path, err := find(args[0], dir, value(env, "PATH"))
	if err != nil {
		return invocation{}, err
	}
	if len(asked.Args) == 0 {
		// By the dash a shell knows that it is a login shell.
		args = []string{"-" + filepath.Base(path)}
	}
	return invocation{path, dir, args, merge(env, []string{"PWD=" + dir})}, nil
}

// checkDirectory returns nil where a program of the user can start.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return errors.Unwrap(err)
	}
	if !info.IsDir() {
		return syscall.ENOTDIR
	}
	return mayEnter(dir)
}

// streams are our ends of what the program reads and writes.
type streams struct {
	stdin   *os.File
	outputs map[protocol.Type]*os.File
	// terminal is set where there is one, and is then stdin and the only output.
	terminal *os.File
	// theirs are the program's ends, until it has them.
	theirs []int
}

// openStreams makes a terminal of a size, or three pipes.
func openStreams(size *protocol.Size) (streams, error) {
	if size != nil {
		master, slave, err := openTerminal(*size)
		// The slave stays open here, too: without anybody who has it, what is read from the master is an error.
		return streams{master, map[protocol.Type]*os.File{protocol.Stdout: master}, master, []int{slave}}, err
	}
	in, theirIn, err := openPipe(1)
	out, theirOut, outErr := openPipe(0)
	errs, theirErrs, errsErr := openPipe(0)
	s := streams{in, map[protocol.Type]*os.File{protocol.Stdout: out, protocol.Stderr: errs}, nil, []int{theirIn, theirOut, theirErrs}}
	if err := errors.Join(err, outErr, errsErr); err != nil {
		s.close()
		return streams{}, fmt.Errorf("making pipes: %w", err)
	}
	return s, nil
}

// openPipe makes a pipe of which side 0, to read from, or 1, to write to, is ours. Where there is an error both are
// nothing to close.
func openPipe(side int) (ours *os.File, theirs int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	if ours, err = pollable(ends[side]); err != nil {
		return nil, -1, errors.Join(err, unix.Close(ends[1-side]))
	}
	return ours, ends[1-side], nil
}

// files are the program's standard input, output and error output.
func (s *streams) files() []uintptr {
	files := make([]uintptr, 3)
	for i := range files {
		files[i] = uintptr(s.theirs[min(i, len(s.theirs)-1)])
	}
	return files
}

func (s *streams) closeTheirs() {
	for _, fd := range s.theirs {
		_ = unix.Close(fd)
	}
	s.theirs = nil
}

func (s *streams) close() {
	s.closeTheirs()
	s.stdin.Close()
	for _, file := range s.outputs {
		file.Close()
	}
}

// endOfTransmission is Ctrl-D, which ends the input of who reads from a terminal: termios(3), VEOF.
const endOfTransmission = "\x04"

// endInput lets the program see the end of its input. On a terminal, in a line that has begun, the first Ctrl-D does no more
// than to hand out that.
func (s *streams) endInput(inLine bool) {
	if s.terminal == nil {
		s.stdin.Close()
		return
	}
	_, _ = s.terminal.WriteString(endOfTransmission)
	if inLine {
		_, _ = s.terminal.WriteString(endOfTransmission)
	}
}
