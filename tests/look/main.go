// Look says, as a program of a unit, what that unit leaves of the host: one word for each thing that is there.
//
// Synopsis:
//
//	look IPC NAME=PATH…
//
// Description:
//
// It prints "ipc" where IPC, what /proc/self/ns/ipc leads to, is its own, too; "core" where it may leave a core dump; and the
// name of the error for a call that no unit allows, which kills it in most. Of each path that is there, and of a device that may
// be opened, it prints the name, and "+" where the file system or the device may be written to.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if ipc, _ := os.Readlink("/proc/self/ns/ipc"); ipc == os.Args[1] {
		fmt.Println("ipc")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err == nil && limit.Max != 0 {
		fmt.Println("core")
	}
	for _, place := range os.Args[2:] {
		name, path, _ := strings.Cut(place, "=")
		if there, writable := look(path); writable {
			fmt.Println(name + "+")
		} else if there {
			fmt.Println(name)
		}
	}
	// One of @resources.
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETPARAM, 0, 0, 0)
	fmt.Println(unix.ErrnoName(errno))
}

// look reports whether something can be done with a path, and whether what is there may be written to as far as mounts tell.
func look(path string) (there, writable bool) {
	var st unix.Stat_t
	// What InaccessiblePaths= puts in a place has no permission at all.
	if unix.Lstat(path, &st) != nil || st.Mode&0o777 == 0 {
		return false, false
	}
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		return opens(path, unix.O_RDONLY), opens(path, unix.O_RDWR)
	}
	var fs unix.Statfs_t
	return true, unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_RDONLY == 0
}

// opens reports whether a device may be opened. What may not is refused before its driver is looked for.
func opens(path string, mode int) bool {
	fd, err := unix.Open(path, mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err != unix.EPERM && err != unix.EACCES
}
