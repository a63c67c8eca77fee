package graph

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/coreos/go-systemd/v22/unit"
	"golang.org/x/sys/unix"
)

// File is one file of the graph.
type File struct {
	// Path is relative to the generator's folder.
	Path string
	// Content is what a regular file holds.
	Content []byte
	// Target is where a symbolic link points; a file with one has no content.
	Target string
}

// dropinName is the file that the generator writes for a unit; one of this name in /etc replaces it.
const dropinName = "50-vmsilo.conf"

// dropin collects the settings of one drop-in.
type dropin struct {
	unit    string
	options []*unit.UnitOption
}

func newDropin(unitName string) *dropin { return &dropin{unit: unitName} }

// set adds a setting; its value is already quoted as the setting wants it.
func (d *dropin) set(section, name, value string) {
	d.options = append(d.options, unit.NewUnitOption(section, name, value))
}

// exec replaces the commands of a setting.
func (d *dropin) exec(section, name string, commands ...[]string) {
	d.set(section, name, "")
	for _, words := range commands {
		d.set(section, name, execLine(words))
	}
}

func (d *dropin) file() File {
	// [Unit] first, as people write units.
	slices.SortStableFunc(d.options, func(a, b *unit.UnitOption) int {
		return cmp.Compare(b.Section, a.Section)
	})
	content, err := io.ReadAll(unit.Serialize(d.options))
	if err != nil {
		panic(fmt.Sprintf("reading from memory: %v", err))
	}
	header := "# Written by vmsilo-generator; changes here are lost. Use systemctl edit.\n"
	return File{Path: filepath.Join(d.unit+".d", dropinName), Content: append([]byte(header), content...)}
}

// Write writes files below folder, a new folder that systemd made for the generator.
// Each file gets its name when it is whole.
func Write(folder string, files []File) error {
	made := map[string]bool{}
	for _, f := range files {
		if parent := filepath.Dir(f.Path); !made[parent] {
			if err := os.MkdirAll(filepath.Join(folder, parent), 0o755); err != nil {
				return fmt.Errorf("writing units: %w", err)
			}
			made[parent] = true
		}
		if err := f.write(filepath.Join(folder, f.Path)); err != nil {
			return fmt.Errorf("writing units: %w", &os.PathError{Op: "write", Path: f.Path, Err: err})
		}
	}
	return nil
}

func (f File) write(path string) error {
	if f.Target == "" {
		return writeWhole(path, f.Content)
	}
	err := unix.Symlink(f.Target, path)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlink(path); err == nil {
			err = unix.Symlink(f.Target, path)
		}
	}
	return err
}

// writeWhole writes a file under another name and renames it. With thousands of small files, what package os does
// beside the system calls takes as long as these.
func writeWhole(path string, content []byte) error {
	temporary := path + ".tmp"
	fd, err := unix.Open(temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	return unix.Rename(temporary, path)
}

// sorted orders files by their paths.
func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}
