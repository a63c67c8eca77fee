// Package started is the record of what a VM was started with. vmsilo-user, the first program of a start, writes it into
// the VM's folder of /run, which goes with the run; what tells how the VM is compares it with what is there by now.
package started

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vmsilo/internal/paths"
)

// Record is what a VM was started with.
type Record struct {
	// Config is the fingerprint of the VM's units: graph.Fingerprint.
	Config string `json:"config"`
	// Files are the states of the files of its image, by what they are to it: "kernel", "initrd" and "root".
	Files map[string]string `json:"files"`
}

// Path returns where the record of a VM is. Everybody may read it, and root alone writes it.
func Path(vm string) string { return filepath.Join(paths.Runtime, vm, "started") }

// State returns what tells the file at path from any other, and from itself once somebody has written to it: device,
// inode, size, and time of the last change of its bytes. A file that is not opened is a matter of its folder's rights alone.
func State(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d %d %d %d.%09d", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec), nil
}

// Write writes a record in one step: readers see the old one, or the new one.
func (r Record) Write(path string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("noting what the VM is started with: %w", err)
	}
	return os.Rename(temporary, path)
}

// maxRecord bounds a record, in bytes.
const maxRecord = 64 << 10

// Read reads a record. Where there is none the error is os.ErrNotExist.
func Read(path string) (r Record, err error) {
	file, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxRecord))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}
