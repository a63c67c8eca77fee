package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// record is what was done for a VM.
type record struct {
	Devices []taken
	Nodes   []node
}

// taken is a device as it was before.
type taken struct {
	Address string
	// Driver is the one that had it, or "".
	Driver string
	// Override is the one driver that could have it by what somebody else had set, or "".
	Override string
}

// node is a file in /dev that was lent, as it was before.
type node struct {
	Path string
	// ACL is its access control list, as the kernel has it.
	ACL []byte
}

// lock makes the caller the only one that takes devices or gives them back, until unlock or its end. What is locked is the
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

// write replaces the record at path in one step.
func (r record) write(path string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+temporary, data, 0o600); err != nil {
		return fmt.Errorf("recording what is done: %w", err)
	}
	return os.Rename(path+temporary, path)
}

// temporary is the end of the name of a record that is being written. No VM's name has a dot.
const temporary = ".tmp"

// read returns a record, which is an empty one where there is none.
func read(path string) (r record, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return r, fmt.Errorf("reading the record: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading the record %q: %w", path, err)
	}
	return r, nil
}

// remove removes a record, and what a write left that was killed.
func remove(path string) error {
	for _, each := range []string{path + temporary, path} {
		if err := os.Remove(each); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// others returns which VM has each device that a record tells of but the one at path.
func others(path string) (map[string]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	has := map[string]string{}
	for _, e := range entries {
		if e.Name() == filepath.Base(path) || strings.HasSuffix(e.Name(), temporary) {
			continue
		}
		r, err := read(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			return nil, err
		}
		for _, d := range r.Devices {
			has[d.Address] = e.Name()
		}
	}
	return has, nil
}
