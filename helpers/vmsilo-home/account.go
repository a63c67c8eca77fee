package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// getentUnknown is getent's status for a key that is not found.
const getentUnknown = 2

// account is a user's numbers.
type account struct{ uid, gid int }

// lookUp finds a user by name or uid with getent(1), which asks all that nsswitch.conf(5) names.
func lookUp(user string) (account, error) {
	out, err := exec.Command("getent", "passwd", "--", user).Output()
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == getentUnknown {
		return account{}, command.Errorf(`set "user" in /etc/vmsilo/vmsilo.toml or in the VM's file`, "no user has the name or uid %q", user)
	} else if err != nil {
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

// either runs f with the account's rights on files and, where these do not reach, with root's: this process may do
// everything to root's own files, and nothing more to anybody else's.
func (a account) either(f func() error) error {
	if err := a.do(f); !errors.Is(err, unix.EACCES) {
		return err
	}
	return f()
}

// do runs f with the account's rights on files. They are a thread's, which the caller has locked: setfsuid(2).
func (a account) do(f func() error) error {
	if err := errors.Join(unix.Setfsgid(a.gid), unix.Setfsuid(a.uid)); err != nil {
		return err
	}
	return errors.Join(f(), unix.Setfsuid(0), unix.Setfsgid(0))
}
