// Package accounts finds users and groups of the host.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ErrUnknown is wrapped by the error for a user or group that is not there.
var ErrUnknown = errors.New("not found")

// User returns the numbers of a user, which is a name or a uid.
func User(user string) (uid, gid int, err error) {
	fields, err := getent("passwd", user)
	if err != nil {
		return 0, 0, err
	}
	uid, uidErr := strconv.Atoi(fields[2])
	gid, gidErr := strconv.Atoi(fields[3])
	if err := errors.Join(uidErr, gidErr); err != nil {
		return 0, 0, fmt.Errorf("looking up user %q: %w", user, err)
	}
	return uid, gid, nil
}

// Group returns the number of a group, which is a name or a gid.
func Group(group string) (gid int, err error) {
	fields, err := getent("group", group)
	if err != nil {
		return 0, err
	}
	if gid, err = strconv.Atoi(fields[2]); err != nil {
		return 0, fmt.Errorf("looking up group %q: %w", group, err)
	}
	return gid, nil
}

// patience is how long a database may take, which may be on another machine.
const patience = 10 * time.Second

// getentUnknown is getent's status for a key that is not found.
const getentUnknown = 2

// getent returns the fields of an entry, four at least. getent(1) asks all that nsswitch.conf(5) names; package os/user
// without cgo reads files of /etc alone.
func getent(database, key string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "getent", database, "--", key).Output()
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == getentUnknown {
		return nil, fmt.Errorf("%q in database %s: %w", key, database, ErrUnknown)
	} else if err != nil {
		return nil, fmt.Errorf("looking up %q in database %s: %w", key, database, err)
	}
	fields := strings.Split(strings.TrimSpace(string(out)), ":")
	if len(fields) < 4 {
		return nil, fmt.Errorf("looking up %q in database %s: getent says %q", key, database, out)
	}
	return fields, nil
}
