package apps

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// FromRoot returns the programs of a guest's root, a folder, and says what is left out of them and why. Symlinks lead where
// they would in the guest.
func FromRoot(root *os.File) (all []App, leftOut []string) {
	r := reader{tree: tree{root, asInside}, seen: map[string]bool{}}
	r.icon = r.iconOfRoot
	// The first that has an ID has it.
	r.folder("usr/local/share/applications")
	r.folder("usr/share/applications")
	return r.apps, r.told()
}

// FromFolder does the same for a folder in which WriteFolder, or somebody by hand, has put the files ID.desktop and
// ID.png. Symlinks are not followed.
func FromFolder(folder *os.File) (all []App, leftOut []string) {
	r := reader{tree: tree{folder, withoutLinks}, seen: map[string]bool{}}
	r.icon = func(id, _ string) []string { return []string{id + ".png"} }
	r.folder(".")
	return r.apps, r.told()
}

// reader collects programs.
type reader struct {
	tree
	// icon returns where the icon of a program may be, which says that of it; the first that is there is it.
	icon    func(id, says string) (paths []string)
	seen    map[string]bool
	apps    []App
	leftOut []string
	untold  int
	icons   int // bytes
}

// folder reads the desktop files of a folder.
func (r *reader) folder(path string) {
	names, err := r.list(path)
	if err != nil {
		r.tell("programs: %w", err)
		return
	}
	if len(names) == maxNames {
		r.tell("programs of %q: it has more than %d files, and only so many are looked at", path, maxNames)
	}
	for _, name := range names {
		id, isDesktop := strings.CutSuffix(name, ".desktop")
		if !isDesktop || r.seen[id] {
			continue
		}
		if len(r.seen) == maxFiles || len(r.apps) == maxApps {
			r.tell("programs: there are more than %d, or %d files; %q and what follows is left out", maxApps, maxFiles, cut(name))
			return
		}
		r.seen[id] = true
		if err := r.app(id, filepath.Join(path, name)); err != nil && !errors.Is(err, errNotShown) {
			r.tell("program %q: %w", cut(id), err)
		}
	}
}

func (r *reader) app(id, path string) error {
	if !idRule.MatchString(id) {
		return fmt.Errorf("the name of its file does not match %s", idRule)
	}
	data, err := r.read(path)
	if err != nil {
		return err
	}
	app, icon, err := parse(string(data))
	if err != nil {
		return err
	}
	app.ID = id
	if app.Icon, err = r.findIcon(r.icon(id, icon)); err != nil {
		r.tell("icon of program %q: %w", id, err)
	}
	r.apps = append(r.apps, app)
	return nil
}

// findIcon returns the icon at the first of the paths where there is something, or nil.
func (r *reader) findIcon(paths []string) ([]byte, error) {
	for _, path := range paths {
		data, err := r.read(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue
		} else if err != nil {
			return nil, err
		}
		icon, err := checkIcon(data)
		if err != nil {
			return nil, err
		}
		if r.icons+len(icon) > maxIcons {
			return nil, fmt.Errorf("all icons together take more than %d MiB", maxIcons>>20)
		}
		r.icons += len(icon)
		return icon, nil
	}
	return nil, nil
}

// maxPath is how long the path of an icon may be, in bytes.
const maxPath = 250

// iconName is the name of an icon of a theme.
var iconName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$`)

// iconOfRoot returns where the guest would look for an icon: of hicolor, the theme that programs bring, or the file itself.
// Only PNG is taken, since an SVG is a program in its own right.
func (*reader) iconOfRoot(_, says string) (paths []string) {
	if strings.HasPrefix(says, "/") && strings.HasSuffix(says, ".png") && len(says) <= maxPath {
		return []string{says}
	}
	name := strings.TrimSuffix(says, ".png")
	if !iconName.MatchString(name) {
		return nil
	}
	// The larger ones look well at any size; 512 pixels are more than a menu needs.
	for _, size := range []string{"128x128", "96x96", "256x256", "64x64", "48x48", "32x32", "24x24", "22x22", "16x16"} {
		for _, share := range []string{"usr/local/share", "usr/share"} {
			paths = append(paths, filepath.Join(share, "icons/hicolor", size, "apps", name+".png"))
		}
	}
	return append(paths, "usr/share/pixmaps/"+name+".png")
}

// tell notes why something is left out.
func (r *reader) tell(format string, args ...any) {
	if len(r.leftOut) == maxTold {
		r.untold++
		return
	}
	r.leftOut = append(r.leftOut, fmt.Errorf(format, args...).Error())
}

func (r *reader) told() []string {
	if r.untold > 0 {
		return append(r.leftOut, fmt.Sprintf("and %d more", r.untold))
	}
	return r.leftOut
}

// cut returns as much of a name of anybody's as a message needs.
func cut(name string) string { return name[:min(len(name), 60)] }
