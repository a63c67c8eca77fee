package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// ofService are the variables that systemd sets for a service alone: systemd.exec(5), sd_listen_fds(3), sd_notify(3).
var ofService = []string{
	"INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "NOTIFY_SOCKET", "MANAGERPID", "MANAGERPIDFDID",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
}

// sessionEnv returns the variables of the session.
func sessionEnv(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(ofService, name)
	})
}

// merge returns env with the variables of more over those of the same name.
func merge(env, more []string) []string {
	out := slices.Clone(env)
	for _, variable := range more {
		name, _, _ := strings.Cut(variable, "=")
		out = slices.DeleteFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		out = append(out, variable)
	}
	return out
}

// value returns a variable's value.
func value(env []string, name string) string {
	for _, variable := range env {
		if v, found := strings.CutPrefix(variable, name+"="); found {
			return v
		}
	}
	return ""
}

// find returns the path of a program, as execvp(3) finds it: in PATH where it has no slash, and else in dir.
// The error is what a shell says and ends with.
func find(name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if err := executable(name); err != nil {
			return "", refusal(name, err)
		}
		return name, nil
	}
	var refused error
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(dir, folder)
		}
		file := filepath.Join(folder, name)
		switch err := executable(file); {
		case err == nil:
			return file, nil
		case errors.Is(err, fs.ErrPermission):
			refused = refusal(file, err)
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", &protocol.Failure{Code: protocol.NotFound, Text: name + ": command not found"}
}

// executable returns nil where exec has a chance.
func executable(file string) error {
	if err := mayEnter(file); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		return errIsDirectory
	}
	return err
}

// mayEnter returns nil where the user may execute a file, or go into a folder. The kernel would let the new process do either
// by vmsilo-agent's capabilities, which it has until its exec; for access(2) those of anybody but root do not count.
func mayEnter(path string) error { return unix.Access(path, unix.X_OK) }

var errIsDirectory = errors.New("is a directory")

// refusal is the failure for a program that is there and cannot be run, or is not there.
func refusal(name string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	f := &protocol.Failure{Code: protocol.NotExecutable, Text: name + ": " + err.Error()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Code = protocol.NotFound
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM):
		f.Code = protocol.NotRun
	}
	return f
}
