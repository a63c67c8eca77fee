// Package pipes makes pipes that much goes through larger.
package pipes

import (
	"os"

	"golang.org/x/sys/unix"
)

// Size is what a pipe may have that is not root's, in bytes: /proc/sys/fs/pipe-max-size of proc_sys_fs(5). One of the usual
// 64 KiB has its writer and its reader wait for each other sixteen times as often.
const Size = 1 << 20

// Enlarge gives a pipe that size. What is no pipe stays as it is, and so does the pipe of a user whose pipes hold much
// already: pipe(7), pipe-user-pages-soft.
func Enlarge(pipe *os.File) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, Size) })
}
