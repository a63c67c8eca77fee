// Package await waits for files without polling.
package await

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Interrupt ends a wait with Err when one of Events of poll(2) comes of FD: POLLIN of a pidfd when its process has ended,
// POLLRDHUP of a connection when its other end is closed.
type Interrupt struct {
	FD     int
	Events int16
	Err    error
}

// ErrNoFolder is wrapped by the error for a folder that is not there, or is taken away.
var ErrNoFolder = errors.New("the folder is gone")

// File returns when path exists, or with the error of the first interrupt that comes before, or when the folder of path is
// gone. A file counts from when it has its name; it is not waited for to be written.
func File(path string, interrupts ...Interrupt) error {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making an inotify instance: %w", err)
	}
	defer unix.Close(watch)
	folder := filepath.Dir(path)
	const events = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(watch, folder, events); errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("watching %q: %w", folder, ErrNoFolder)
	} else if err != nil {
		return fmt.Errorf("watching %q: %w", folder, err)
	}
	buffer := make([]byte, 4096)
	for {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		// The watch is of the folder that was there; another of its name is not waited in.
		changed, err := poll(watch, interrupts)
		if err != nil {
			return err
		}
		if !changed {
			continue
		}
		n, err := unix.Read(watch, buffer)
		if err != nil {
			return fmt.Errorf("reading inotify events: %w", err)
		}
		// What has come is looked up above.
		if isGone(buffer[:n]) {
			return fmt.Errorf("watching %q: %w", folder, ErrNoFolder)
		}
	}
}

// isGone reports whether one of the events of inotify(7) says that what is watched has gone from its place.
func isGone(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED) != 0 {
			return true
		}
		name := binary.NativeEndian.Uint32(events[12:])
		events = events[unix.SizeofInotifyEvent+int(name):]
	}
	return false
}

// poll waits for events of the watch, or for an interrupt.
func poll(watch int, interrupts []Interrupt) (changed bool, err error) {
	fds := []unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}
	for _, i := range interrupts {
		fds = append(fds, unix.PollFd{Fd: int32(i.FD), Events: i.Events})
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
