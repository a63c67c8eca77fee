package main

import (
	"errors"
	"log"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// follower reads the configuration again when something that it depends on has changed: inotify(7).
type follower struct {
	inotify int
	// folders are those that are watched, by their watches.
	folders map[int]watched
}

// watched is a folder, and the names in it that matter; "*" is those of configuration files and units.
type watched struct {
	path  string
	names map[string]bool
}

// follow reads the configuration in folders, and again whenever it may be another.
func follow(folders []string) (<-chan *configuration, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := &follower{inotify: fd, folders: map[int]watched{}}
	out := make(chan *configuration)
	go func() {
		for {
			c := read(folders)
			out <- c
			// What has changed while it was not watched is seen by a second look.
			if f.watch(c.paths) {
				continue
			}
			if err := f.await(); err != nil {
				log.Printf("error: following the configuration: %v", err)
				return
			}
		}
	}()
	return out, nil
}

// events are what may change the files of a folder, and what becomes of the folder. A file that is being written is of no
// interest before it is closed.
const events = unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// watch watches the folders on the way to each path, of which the last element may be "*", and no other folder any more. It
// tells whether one is watched that was not.
func (f *follower) watch(paths []string) (more bool) {
	wanted := map[string]map[string]bool{}
	for _, path := range paths {
		walk(path, maxLinks, func(folder, name string) {
			if wanted[folder] == nil {
				wanted[folder] = map[string]bool{}
			}
			wanted[folder][name] = true
		})
	}
	before := f.folders
	f.folders = map[int]watched{}
	for folder, names := range wanted {
		// One that is not there, or not for everybody to read, has nothing to tell.
		id, err := unix.InotifyAddWatch(f.inotify, folder, events)
		if err != nil {
			continue
		}
		if again, ok := f.folders[id]; ok {
			maps.Copy(names, again.names)
		}
		f.folders[id] = watched{folder, names}
		if _, ok := before[id]; !ok {
			more = true
		}
	}
	for id := range before {
		if _, ok := f.folders[id]; !ok {
			_, _ = unix.InotifyRmWatch(f.inotify, uint32(id))
		}
	}
	return more
}

// maxLinks is how many symbolic links the kernel follows: path_resolution(7).
const maxLinks = 40

// walk calls visit with each folder on the way to a path, links included, and with the name that is looked for there.
func walk(path string, links int, visit func(folder, name string)) {
	folder, rest := "/", filepath.Clean(path)
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		visit(folder, name)
		next := filepath.Join(folder, name)
		if target, err := os.Readlink(next); err == nil && links > 0 {
			if !filepath.IsAbs(target) {
				target = filepath.Join(folder, target)
			}
			walk(filepath.Join(target, rest), links-1, visit)
			return
		}
		folder = next
	}
}

// await waits for a change of what is watched.
func (f *follower) await() error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(f.inotify, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		changed := false
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			var e event
			e, rest = cut(rest)
			changed = changed || f.matters(e)
		}
		if changed {
			return nil
		}
	}
}

// event is what inotify tells.
type event struct {
	id   int
	mask uint32
	name string
}

// cut returns the first event of what was read, and the rest.
func cut(data []byte) (e event, rest []byte) {
	word := func(n int) uint32 {
		return uint32(data[n]) | uint32(data[n+1])<<8 | uint32(data[n+2])<<16 | uint32(data[n+3])<<24
	}
	end := min(unix.SizeofInotifyEvent+int(word(12)), len(data))
	name := strings.TrimRight(string(data[unix.SizeofInotifyEvent:end]), "\x00")
	return event{int(int32(word(0))), word(4), name}, data[end:]
}

// matters tells whether an event may have changed the configuration.
func (f *follower) matters(e event) bool {
	if e.mask&unix.IN_Q_OVERFLOW != 0 {
		return true
	}
	folder, ok := f.folders[e.id]
	switch {
	case !ok || e.mask&unix.IN_IGNORED != 0:
		return false
	case e.name == "" || folder.names[e.name]:
		return true
	case !folder.names["*"] || !strings.HasSuffix(e.name, ".toml") && !strings.HasSuffix(e.name, ".service"):
		return false
	}
	return e.mask&unix.IN_CREATE == 0 || !isNew(filepath.Join(folder.path, e.name))
}

// isNew tells whether a file is one that somebody has just made, and will close when it is written. A link is whole at once.
func isNew(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1
}
