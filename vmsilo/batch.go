package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// batch has the kernel run this process for longer and less often, where there are more to run than processors: SCHED_BATCH
// of sched(7). Each packet of a guest's would interrupt the guest itself otherwise, for some kilobytes to be read. Who has
// chosen another policy than the usual one keeps that.
func batch() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			continue
		}
		// Where this fails the process is as quick as it was.
		if now, err := unix.SchedGetAttr(id, 0); err == nil && now.Policy == unix.SCHED_NORMAL {
			now.Policy = unix.SCHED_BATCH
			_ = unix.SchedSetAttr(id, now, 0)
		}
	}
}
