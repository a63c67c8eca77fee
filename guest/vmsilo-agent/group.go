package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// groups makes control groups below vmsilo-agent's own, which is a session's scope: cgroups(7). The scope is delegated
// by session-.scope.d/vmsilo.conf.
type groups struct {
	folder string
	last   atomic.Uint64
	// spare is a group for the next program: the kernel takes its time to make one.
	spare atomic.Pointer[group]
}

// ownGroups looks up where vmsilo-agent is.
func ownGroups() (*groups, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("looking up the control group: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if path, found := strings.CutPrefix(line, "0::"); found {
			return &groups{folder: filepath.Join("/sys/fs/cgroup", path)}, nil
		}
	}
	return nil, fmt.Errorf("looking up the control group: %q names none of the unified hierarchy", text)
}

// group is the control group of a program and of all that it starts.
type group struct {
	path string
	// folder is a descriptor of it, for clone.
	folder int
}

// take returns a group, which is empty and new.
func (g *groups) take() (*group, error) {
	if spare := g.spare.Swap(nil); spare != nil {
		return spare, nil
	}
	return g.create()
}

// putAway removes a group that is empty, and sees to it that there is one for the next program.
func (g *groups) putAway(old *group) {
	if err := old.remove(); err != nil {
		complain(fmt.Errorf("removing a control group: %w", err))
	}
	if g.spare.Load() != nil {
		return
	}
	// Without one the next program has its own to make, and says what is wrong.
	if fresh, err := g.create(); err == nil && !g.spare.CompareAndSwap(nil, fresh) {
		_ = fresh.remove()
	}
}

// close removes the group for a program that does not come.
func (g *groups) close() {
	if spare := g.spare.Swap(nil); spare != nil {
		_ = spare.remove()
	}
}

func (g *groups) create() (*group, error) {
	// Another agent of the session may have some.
	for {
		path := filepath.Join(g.folder, "run-"+strconv.FormatUint(g.last.Add(1), 10))
		err := os.Mkdir(path, 0o755)
		if os.IsExist(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("making a control group: %w", err)
		}
		folder, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("making a control group: %w", errors.Join(err, os.Remove(path)))
		}
		return &group{path, folder}, nil
	}
}

// kill sends SIGKILL to all that is in the group.
func (g *group) kill() error {
	return os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0)
}

// goneTime is how long the kernel may take to end processes that were killed. One that waits for a disk may take longer.
const goneTime = 5 * time.Second

// end kills what is in the group, and waits until it is empty.
func (g *group) end() error {
	events, err := unix.Openat(g.folder, "cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("ending what the program started: %w", err)
	}
	defer unix.Close(events)
	text := make([]byte, 256)
	killed := false
	for deadline := time.Now().Add(goneTime); time.Now().Before(deadline); {
		n, err := unix.Pread(events, text, 0)
		if n <= 0 {
			return fmt.Errorf("ending what the program started: %w", err)
		}
		if bytes.Contains(text[:n], []byte("populated 0")) {
			return nil
		}
		if !killed {
			if err := g.kill(); err != nil {
				return fmt.Errorf("ending what the program started: %w", err)
			}
			killed = true
		}
		// A change of the file is an exceptional condition of it.
		fds := []unix.PollFd{{Fd: int32(events), Events: unix.POLLPRI}}
		_, _ = unix.Poll(fds, int(time.Until(deadline).Milliseconds())+1)
	}
	return errors.New("what the program started does not end")
}

// remove removes the group, which is empty, and those that the program has made in it.
func (g *group) remove() error {
	folders := []string{}
	err := filepath.WalkDir(g.path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	return errors.Join(err, unix.Close(g.folder))
}
