package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// managerEnvironment returns a variable of the service manager of a user, whose runtime folder this is, or "" where there
// is none, or no such manager. A session that wants its services to know its compositor says so there: systemctl --user
// import-environment.
func managerEnvironment(folder, name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The manager's own socket, which needs no bus.
	conn, err := dbus.Dial("unix:path="+filepath.Join(folder, "systemd/private"), dbus.WithContext(ctx))
	if err != nil {
		return ""
	}
	defer conn.Close()
	if err := conn.Auth(nil); err != nil {
		return ""
	}
	var all []string
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	if err := manager.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0,
		"org.freedesktop.systemd1.Manager", "Environment").Store(&all); err != nil {
		return ""
	}
	for _, variable := range all {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}
