// Package recipe reads the files that say what a guest image is made of.
package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vmsilo/internal/command"
)

// Recipe says what an image is made of.
type Recipe struct {
	// Suite is the release of Debian or of what is made from it: "trixie".
	Suite string
	// Mirrors are where its packages are, as mmdebstrap(1) takes them; none stands for Debian's own.
	Mirrors []string
	// Packages are installed, with what they depend on and nothing that they recommend.
	Packages []string
	// Files are put into the root, in the order of the recipe.
	Files []File
	// Commands are lines of shell, which root runs in the root in this order.
	Commands []string
}

// File is a file or a folder of the recipe's author that goes into the root.
type File struct{ Source, Target string }

// Load reads the recipe that name stands for: a path if it has a slash, or else the file NAME.toml of folder.
func Load(folder, name string) (*Recipe, error) {
	path := name
	if !strings.Contains(name, "/") {
		path = filepath.Join(folder, name+".toml")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path != name {
		return nil, command.Errorf(shipped(folder), "no recipe is named %q", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the recipe: %w", err)
	}
	return parse(path, data)
}

// shipped returns a hint that names the recipes of folder.
func shipped(folder string) string {
	paths, _ := filepath.Glob(filepath.Join(folder, "*.toml")) // the pattern is well-formed
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(p), ".toml")
	}
	return fmt.Sprintf("there are: %s; a recipe of your own is given as a path with a slash, like ./%s",
		strings.Join(names, ", "), "mine.toml")
}
