package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watch is told when something appears in a user's runtime folder, or that folder itself does.
type watch struct {
	events *os.File
	// mounts is the list of mounts: the folder of a user who logs in is made, and then a file system is mounted on it.
	mounts *os.File
}

// forever is a wait without an end.
const forever = -1

// newWatch begins to watch a folder, which need not be there.
func newWatch(folder string) (*watch, error) {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("watching the mounts: %w", err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watching %q: %w", folder, err), mounts.Close())
	}
	w := &watch{os.NewFile(uintptr(fd), "inotify"), mounts}
	for _, path := range []string{folder, filepath.Dir(folder)} {
		_, err := unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			w.close()
			return nil, fmt.Errorf("watching %q: %w", path, err)
		}
	}
	return w, nil
}

// wait waits until something has happened since the watch began, or so long, tells which, and ends the watch.
func (w *watch) wait(limit time.Duration) (happened bool, err error) {
	defer w.close()
	fds := []unix.PollFd{
		{Fd: int32(w.events.Fd()), Events: unix.POLLIN},
		// proc_pid_mountinfo(5).
		{Fd: int32(w.mounts.Fd()), Events: unix.POLLPRI},
	}
	var timeout *unix.Timespec
	end := time.Now().Add(limit)
	for {
		if limit != forever {
			left := unix.NsecToTimespec(max(0, time.Until(end)).Nanoseconds())
			timeout = &left
		}
		n, err := unix.Ppoll(fds, timeout, nil)
		if err == nil {
			return n > 0, nil
		} else if !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("waiting for a compositor: %w", err)
		}
	}
}

func (w *watch) close() {
	w.events.Close()
	w.mounts.Close()
}
