// Package await waits for files without polling.
package await

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Interrupt ends a wait with Err when FD can be read from, as a pidfd can when its process has ended.
type Interrupt struct {
	FD  int
	Err error
}

// File returns when path exists, or with the error of the first interrupt that comes before.
// The folder of path must be there. A file counts from when it has its name; it is not waited for to be written.
func File(path string, interrupts ...Interrupt) error {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making an inotify instance: %w", err)
	}
	defer unix.Close(watch)
	folder := filepath.Dir(path)
	if _, err := unix.InotifyAddWatch(watch, folder, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		return fmt.Errorf("watching %q: %w", folder, err)
	}
	events := make([]byte, 4096)
	for {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		changed, err := poll(watch, interrupts)
		if err != nil {
			return err
		}
		// What happened is looked up above; the events only need to be taken.
		if changed {
			if _, err := unix.Read(watch, events); err != nil {
				return fmt.Errorf("reading inotify events: %w", err)
			}
		}
	}
}

// poll waits for events of the watch, or for an interrupt.
func poll(watch int, interrupts []Interrupt) (changed bool, err error) {
	fds := []unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}
	for _, i := range interrupts {
		fds = append(fds, unix.PollFd{Fd: int32(i.FD), Events: unix.POLLIN})
	}
	if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("polling: %w", err)
	}
	if fds[0].Revents != 0 {
		return true, nil
	}
	for n, i := range interrupts {
		if fds[n+1].Revents != 0 {
			return false, i.Err
		}
	}
	return false, nil
}
