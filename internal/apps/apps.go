// Package apps reads the programs that an image has for menus: desktop files, and icons.
//
// All of it is a guest's word, which ends up in a menu of the host. So nothing is copied: of each file a few keys are
// read and written anew, an icon is decoded and encoded again, and whatever is not plain is left out with a message. What is
// read is bounded, in each file and in sum.
//
// https://specifications.freedesktop.org/desktop-entry-spec/latest/
package apps

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// App is a program for menus.
type App struct {
	// ID is the name of its desktop file, without the suffix.
	ID string
	// Name and Comment are text for people, of one line; Comment may be "".
	Name, Comment string
	// Args is what runs in the guest: a program, which is a path or a name, and its arguments. All are printable.
	Args []string
	// Terminal says that the program wants one.
	Terminal bool
	// Icon is a PNG that Go's encoder has written, or nil.
	Icon []byte
}

// Bounds of what one image may have.
const (
	maxNames = 4096      // entries of one folder
	maxFiles = 1000      // desktop files that are looked at
	maxApps  = 200       // programs
	maxFile  = 256 << 10 // bytes of a desktop file, with all its translations, or of an icon
	maxIcons = 8 << 20   // bytes of all icons, as they are encoded
	maxTold  = 20        // messages
)

// idRule is what the name of a desktop file may look like; ':' and '/' and a dot at its beginning are no part of it.
var idRule = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$`)

// WriteFolder writes programs into a new folder, as FromFolder reads them.
func WriteFolder(folder string, all []App) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for _, app := range all {
		files := map[string][]byte{".desktop": File(
			"Type", "Application",
			"Name", app.Name,
			"Comment", app.Comment,
			"Exec", Exec(app.Args),
			"Terminal", fmt.Sprint(app.Terminal),
		)}
		if app.Icon != nil {
			files[".png"] = app.Icon
		}
		for suffix, data := range files {
			if err := os.WriteFile(filepath.Join(folder, app.ID+suffix), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
