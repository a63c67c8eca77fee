// Measure runs a command once and prints what it cost.
//
// Synopsis:
//
//	measure [COMMAND [ARGUMENT…]]
//
// Description:
//
// It prints one line: microseconds of wall time, microseconds of user and system time, and KiB of memory at the peak.
// The command's output is its own; measure's status is 1 when it fails. Without a command measure does nothing, and is
// a program to compare with.
//
// The peak is that of wait4(2), which counts from the fork: the memory of the process that called execve(2), which is
// measure, is its least. So measure holds as little as a Go program can, less than one that does anything.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 1 {
		return
	}
	line, ok := measure(os.Args[1:])
	os.Stdout.WriteString(line)
	if !ok {
		os.Exit(1)
	}
}

// measure runs a command, whose first word is a path, and tells whether it ended with status 0.
func measure(words []string) (line string, ok bool) {
	start := time.Now()
	pid, err := syscall.ForkExec(words[0], words, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return words[0] + ": " + err.Error() + "\n", false
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for err = syscall.EINTR; err == syscall.EINTR; {
		_, err = syscall.Wait4(pid, &status, 0, &usage)
	}
	wall := time.Since(start)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	line = microseconds(wall) + " " + microseconds(cpu) + " " + strconv.FormatInt(usage.Maxrss, 10) + "\n"
	return line, err == nil && status.Exited() && status.ExitStatus() == 0
}

func microseconds(d time.Duration) string {
	return strconv.FormatInt(d.Microseconds(), 10)
}
