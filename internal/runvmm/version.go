package runvmm

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// early is how soon a VMM ends that does not take its arguments, also on a busy machine.
	early = 5 * time.Second
	// maxVersion is how long a VMM may take to say its version.
	maxVersion = 5 * time.Second
)

// tooOld returns the error of a VMM that is older than it has to be, or nil. It asks the program, which takes QEMU
// 20 ms: so only one is asked that has failed.
func (v VMM) tooOld(program string) error {
	if v.Oldest == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxVersion)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "--version").Output()
	has := regexp.MustCompile(`[0-9]+(\.[0-9]+)*`).FindString(string(said))
	if err != nil || has == "" || !older(has, v.Oldest) {
		return nil
	}
	return fmt.Errorf("%q is %s %s, which is too old: %s or later is needed", program, v.Name, has, v.Oldest)
}

// older compares versions, which are numbers with dots between.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range bs {
		var n int
		if i < len(as) {
			n, _ = strconv.Atoi(as[i])
		}
		if m, _ := strconv.Atoi(bs[i]); n != m {
			return n < m
		}
	}
	return false
}
