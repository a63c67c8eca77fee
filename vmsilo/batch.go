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
	// A thread has the policy of the one that has made it, which may have been the usual one when the threads were listed.
	for changed := true; changed; {
		changed = false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, thread := range threads {
			id, _ := strconv.Atoi(thread.Name())
			now, err := unix.SchedGetAttr(id, 0)
			if err != nil || now.Policy != unix.SCHED_NORMAL {
				continue
			}
			now.Policy = unix.SCHED_BATCH
			// Where this fails the process is as quick as it was.
			changed = unix.SchedSetAttr(id, now, 0) == nil || changed
		}
	}
}
