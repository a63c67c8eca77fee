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
		path := filepath.Join(folder, f.Path)
		if parent := filepath.Dir(path); !made[parent] {
			if err := os.MkdirAll(parent, 0o755); err != nil {
				return fmt.Errorf("writing units: %w", err)
			}
			made[parent] = true
		}
		if err := f.write(path); err != nil {
			return fmt.Errorf("writing units: %w", err)
		}
	}
	return nil
}

func (f File) write(path string) error {
	if f.Target != "" {
		err := os.Symlink(f.Target, path)
		if errors.Is(err, os.ErrExist) {
			if err = os.Remove(path); err == nil {
				err = os.Symlink(f.Target, path)
			}
		}
		return err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(temporary, f.Content, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// sorted orders files by their paths.
func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}
