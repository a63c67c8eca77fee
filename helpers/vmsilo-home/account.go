package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// account is a user's numbers.
type account struct{ uid, gid int }

// lookUp finds a user by name or uid with getent(1), which asks all that nsswitch.conf(5) names.
// A uid that nobody has stands for itself, with the group of the same number.
func lookUp(user string) (account, error) {
	out, err := exec.Command("getent", "passwd", "--", user).Output()
	if err != nil {
		if uid, err := strconv.Atoi(user); err == nil && uid > 0 {
			return account{uid, uid}, nil
		}
		return account{}, fmt.Errorf("looking up user %q: %w", user, err)
	}
	fields := strings.Split(strings.TrimSpace(string(out)), ":")
	if len(fields) < 4 {
		return account{}, fmt.Errorf("looking up user %q: getent says %q", user, out)
	}
	uid, uidErr := strconv.Atoi(fields[2])
	gid, gidErr := strconv.Atoi(fields[3])
	if uidErr != nil || gidErr != nil {
		return account{}, fmt.Errorf("looking up user %q: getent says %q", user, out)
	}
	return account{uid, gid}, nil
}
