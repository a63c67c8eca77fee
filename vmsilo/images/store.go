// Package images keeps guest images, each in versions of which one is current.
//
// The image NAME is a link in the store's folder to one of its versions, which are the folders .NAME/VERSION beside it.
// A plain folder NAME is an image, too, that has no versions. Whoever changes the store holds a lock on its folder.
package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
)

// Store is the folder that holds the images.
type Store string

// Image is a guest image and its versions, the oldest first.
type Image struct {
	Name     string
	Versions []Version
	// Plain is the image if it is a folder without versions.
	Plain *Version
}

// Version is one state of an image.
type Version struct {
	Name string
	// Size is what its files hold, in bytes.
	Size int64
	// Current tells whether VMs that start get this one.
	Current bool
}

// parts are the files of a version.
var parts = []string{"vmlinuz", "initrd", "root.erofs"}

// appsFolder is the folder of a version that holds the programs for menus: internal/apps. A version without any has none.
const appsFolder = "apps"

// imageName is what an image may be called; the dot of a version's folder is no beginning of it.
var imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (s Store) path(elements ...string) string {
	return filepath.Join(append([]string{string(s)}, elements...)...)
}

// List returns all images in the order of their names.
func (s Store) List() ([]Image, error) {
	entries, err := os.ReadDir(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the images: %w", err)
	}
	var names []string
	for _, e := range entries {
		// Versions without a link count: somebody may have removed it.
		if name := strings.TrimPrefix(e.Name(), "."); imageName.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var images []Image
	for _, name := range slices.Compact(names) {
		image, err := s.image(name)
		if err != nil {
			return nil, fmt.Errorf("listing the images: %w", err)
		}
		images = append(images, image)
	}
	return images, nil
}

// image returns the image of that name.
func (s Store) image(name string) (Image, error) {
	image := Image{Name: name}
	current := s.current(name)
	entries, err := os.ReadDir(s.path("." + name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return image, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			v := Version{e.Name(), size(s.path("."+name, e.Name())), e.Name() == current}
			image.Versions = append(image.Versions, v)
		}
	}
	if info, err := os.Stat(s.path(name)); err == nil && info.IsDir() && current == "" {
		image.Plain = &Version{Size: size(s.path(name)), Current: true}
	}
	return image, nil
}

// current returns the version that an image's link names, or "" if it is none of the image's.
func (s Store) current(name string) string {
	target, _ := os.Readlink(s.path(name)) // what is no link has no target
	folder, version := filepath.Split(target)
	if folder != "."+name+"/" {
		return ""
	}
	return version
}

func size(folder string) (sum int64) {
	for _, part := range parts {
		if info, err := os.Stat(filepath.Join(folder, part)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// Use makes a version the current one, in one step: no VM that starts finds the image missing, and one that runs keeps
// what it has open.
func (s Store) Use(name, version string) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.has(name, version); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := os.Stat(s.path("."+name, version, part)); err != nil {
			return fmt.Errorf("version %q of image %q is not whole: %w", version, name, err)
		}
	}
	return s.point(name, version)
}

// Remove deletes a version that is neither current nor open in any process.
func (s Store) Remove(name, version string) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.has(name, version); err != nil {
		return err
	}
	if s.current(name) == version {
		return command.Errorf(fmt.Sprintf("first make another one current: vmsilo image use %s VERSION", name),
			"version %q is the current one of image %q", version, name)
	}
	if user := openedBy(filepath.Join("."+name, version)); user != "" {
		return command.Errorf("stop the VM first", "version %q of image %q is in use by %s", version, name, user)
	}
	// Out of the way in one step, so that nothing half-removed can be used.
	gone := s.path("."+name, workPrefix+version)
	if err := os.Rename(s.path("."+name, version), gone); err != nil {
		return fmt.Errorf("removing version %q of image %q: %w", version, name, err)
	}
	return os.RemoveAll(gone)
}

// has returns an error that says what there is if there is no such version.
func (s Store) has(name, version string) error {
	images, err := s.List()
	if err != nil {
		return err
	}
	var names, versions []string
	for _, image := range images {
		names = append(names, image.Name)
		if image.Name != name {
			continue
		}
		for _, v := range image.Versions {
			if v.Name == version {
				return nil
			}
			versions = append(versions, v.Name)
		}
		return command.Errorf(thereAre("vmsilo image build makes one", versions), "image %q has no version %q", name, version)
	}
	return command.Errorf(thereAre("vmsilo image build makes one", names), "there is no image %q", name)
}

func thereAre(none string, names []string) string {
	if len(names) == 0 {
		return "there are none; " + none
	}
	return "there are: " + strings.Join(names, ", ")
}

// lock makes the store's folder and keeps all others from changing it, until unlock is called or this process ends.
func (s Store) lock() (unlock func(), err error) {
	if err := os.MkdirAll(string(s), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the images: %w", err)
	}
	held, err := lockFolder(string(s), 0)
	if err != nil {
		return nil, fmt.Errorf("locking the images: %w", err)
	}
	return func() { held.Close() }, nil
}

// lockFolder locks a folder until the file that it returns is closed. how is 0, or unix.LOCK_NB to not wait.
func lockFolder(path string, how int) (*os.File, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|how); err != nil {
		folder.Close()
		return nil, err
	}
	return folder, nil
}
