package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lock makes the caller the only one that changes what all TAPs share, until unlock or its end. What is locked is the
// folder of the records.
func lock(folder string) (unlock func(), err error) {
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		dir.Close()
		return nil, fmt.Errorf("locking %q: %w", folder, err)
	}
	return func() { dir.Close() }, nil
}

// write replaces a record in one step.
func write(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return fmt.Errorf("recording it: %w", err)
	}
	return os.Rename(path+".tmp", path)
}

// read reads a record; without one, value stays as it is.
func read(path string, value any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the record: %w", err)
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("reading the record %q: %w", path, err)
	}
	return nil
}

// readAll reads the records of all TAPs but the one at the path except.
func readAll(folder, except string) (taps map[string]*tap, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	taps = map[string]*tap{}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if path == except || !strings.Contains(e.Name(), ":") || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		var t tap
		if err := read(path, &t); err != nil {
			return nil, err
		}
		// One that is just being removed has none.
		if t.Name != "" {
			taps[path] = &t
		}
	}
	return taps, nil
}

// removeRecord removes a record, and what a write left that was killed.
func removeRecord(path string) error {
	for _, each := range []string{path + ".tmp", path} {
		if err := os.Remove(each); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
