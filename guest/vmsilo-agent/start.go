package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"vmsilo/internal/protocol"
)

// start starts what the host asks for with the environment of the session.
func start(asked protocol.Program, env []string, groups *groups) (*program, error) {
	cmd, err := prepare(asked, env)
	if err != nil {
		return nil, err
	}
	g, err := groups.create()
	if err != nil {
		return nil, err
	}
	p := &program{cmd: cmd, group: g, input: newInput()}
	if p.streams, err = openStreams(cmd, asked.Terminal); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	// A session of its own, so that its process group and its terminal are nobody else's.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Setctty: asked.Terminal != nil,
		UseCgroupFD: true, CgroupFD: int(g.file.Fd()),
	}
	err = cmd.Start()
	if p.terminal == nil {
		p.closeTheirs()
	}
	if err != nil {
		p.close()
		return nil, errors.Join(refusal(cmd.Path, err), g.remove())
	}
	return p, nil
}

// prepare finds the program and where it runs.
func prepare(asked protocol.Program, env []string) (*exec.Cmd, error) {
	env = merge(env, asked.Env)
	dir := asked.Directory
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(value(env, "HOME"), dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil {
			err = &fs.PathError{Err: syscall.ENOTDIR}
		}
		return nil, fmt.Errorf("cannot start in %q: %w", dir, errors.Unwrap(err))
	}
	args := asked.Args
	if len(args) == 0 {
		args = []string{value(env, "SHELL")}
	}
	path, err := find(args[0], dir, value(env, "PATH"))
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Dir: dir, Env: merge(env, []string{"PWD=" + dir})}
	if len(asked.Args) == 0 {
		// By the dash a shell knows that it is a login shell.
		cmd.Args = []string{"-" + filepath.Base(path)}
	}
	return cmd, nil
}

// streams are our ends of what the program reads and writes.
type streams struct {
	stdin   *os.File
	outputs map[protocol.Type]*os.File
	// terminal is set where there is one, and is then stdin and the only output.
	terminal *os.File
	// theirs are the program's ends, until it has them.
	theirs []*os.File
}

// openStreams makes a terminal of a size, or three pipes, and gives the program its ends.
func openStreams(cmd *exec.Cmd, size *protocol.Size) (s streams, err error) {
	if size != nil {
		master, slave, err := openTerminal(*size)
		if err != nil {
			return s, err
		}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		// The slave stays open here, too: without anybody who has it, what is read from the master is an error.
		return streams{master, map[protocol.Type]*os.File{protocol.Stdout: master}, master, []*os.File{slave}}, nil
	}
	var ours, theirs [3]*os.File
	for i := range ours {
		r, w, pipeErr := os.Pipe()
		if ours[i], theirs[i] = r, w; i == 0 {
			ours[i], theirs[i] = w, r
		}
		err = errors.Join(err, pipeErr)
	}
	s = streams{ours[0], map[protocol.Type]*os.File{protocol.Stdout: ours[1], protocol.Stderr: ours[2]}, nil, theirs[:]}
	if err != nil {
		s.close()
		return streams{}, fmt.Errorf("making pipes: %w", err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	return s, nil
}

func (s *streams) closeTheirs() {
	for _, file := range s.theirs {
		file.Close()
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

// endInput lets the program see the end of its input.
func (s *streams) endInput() {
	if s.terminal != nil {
		_, _ = s.terminal.WriteString(endOfTransmission)
	} else {
		s.stdin.Close()
	}
}
