package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// writeRecord replaces the record in one step.
func writeRecord(path string, t tap) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return fmt.Errorf("recording it: %w", err)
	}
	return os.Rename(path+".tmp", path)
}

// readRecord returns the recorded TAP, without a name when there is no record.
func readRecord(path string) (tap, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return tap{}, nil
	} else if err != nil {
		return tap{}, fmt.Errorf("reading the record: %w", err)
	}
	var t tap
	if err := json.Unmarshal(data, &t); err != nil {
		return tap{}, fmt.Errorf("reading the record %q: %w", path, err)
	}
	return t, nil
}

func removeRecord(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
