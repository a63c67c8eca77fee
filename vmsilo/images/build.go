package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/internal/apps"
	"vmsilo/internal/command"
	"vmsilo/internal/paths"
	"vmsilo/vmsilo/recipe"
)

// workPrefix begins the names of folders that are no versions yet, or no longer.
const workPrefix = ".work."

// Built is what a build has made.
type Built struct {
	Version string
	// Fresh tells that the version is new: the same files as those of an older version are not kept twice.
	Fresh bool
	// LeftOut says which programs of the image are for no menu, and why.
	LeftOut []string
}

// Build makes a version of an image from a recipe and makes it the current one. say is told what is being done.
// If ctx ends, or anything fails, everything is as it was before.
func (s Store) Build(ctx context.Context, name string, r *recipe.Recipe, say func(stage string)) (built Built, err error) {
	if !imageName.MatchString(name) {
		return built, fmt.Errorf("%q will not do as an image's name: it must match %s", name, imageName)
	}
	if err := s.replaceable(name); err != nil {
		return built, err
	}
	work, err := s.begin(name)
	if err != nil {
		return built, fmt.Errorf("making a place to build in: %w", err)
	}
	defer func() { err = errors.Join(err, s.end(name, work)) }()
	b := build{ctx: ctx, recipe: r, work: work.Name(), say: say}
	for _, step := range []func() error{b.files, b.root, b.programs, b.erofs} {
		if err := step(); err != nil {
			return built, err
		}
	}
	built.LeftOut = b.leftOut
	built.Version, built.Fresh, err = s.publish(ctx, name, b.path("image"))
	return built, err
}

// begin makes a folder to work in, which is locked for as long as the build lives, and removes those of builds that
// were killed.
func (s Store) begin(name string) (*os.File, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.Mkdir(s.path("."+name), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	dead, _ := filepath.Glob(s.path("."+name, workPrefix+"*")) // the pattern is well-formed
	for _, path := range dead {
		if lock, err := lockFolder(path, unix.LOCK_NB); err == nil {
			err = os.RemoveAll(path)
			lock.Close()
			if err != nil {
				return nil, err
			}
		}
	}
	path, err := os.MkdirTemp(s.path("."+name), workPrefix)
	if err != nil {
		return nil, err
	}
	return lockFolder(path, 0)
}

// end removes the folder of a build, and that of the versions if there are none.
func (s Store) end(name string, work *os.File) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	err = os.RemoveAll(work.Name())
	work.Close()
	os.Remove(s.path("." + name)) // fails when there is a version, as it should
	return err
}

// publish moves a finished folder to its place and makes it the current version.
func (s Store) publish(ctx context.Context, name, folder string) (version string, fresh bool, err error) {
	version, err = versionName(folder, time.Now())
	if err != nil {
		return "", false, err
	}
	if err := syncTo(folder); err != nil {
		return "", false, err
	}
	unlock, err := s.lock()
	if err != nil {
		return "", false, err
	}
	defer unlock()
	if ctx.Err() != nil {
		return "", false, errInterrupted
	}
	if twin := s.twin(name, version); twin != "" {
		if err := replaceApps(s.path("."+name, twin), folder); err != nil {
			return "", false, fmt.Errorf("keeping the programs for menus: %w", err)
		}
		return twin, false, s.point(name, twin)
	}
	kept := s.path("."+name, version)
	if err := os.Rename(folder, kept); err != nil {
		return "", false, fmt.Errorf("keeping the version: %w", err)
	}
	if err := s.point(name, version); err != nil {
		return "", false, errors.Join(err, os.RemoveAll(kept))
	}
	return version, true, nil
}

// replaceApps gives a version the programs of another one that has the same files: an older vmsilo may have read fewer
// of them.
func replaceApps(version, from string) error {
	if err := os.RemoveAll(filepath.Join(version, appsFolder)); err != nil {
		return err
	}
	err := os.Rename(filepath.Join(from, appsFolder), filepath.Join(version, appsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncTo returns when what was written is on the disk: a power cut must not leave a link to empty files.
func syncTo(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("writing to the disk: %w", err)
	}
	return nil
}

// build is one run of the recipe.
type build struct {
	ctx    context.Context
	recipe *recipe.Recipe
	work   string
	say    func(stage string)
	// leftOut is what programs says.
	leftOut []string
}

func (b *build) path(elements ...string) string {
	return filepath.Join(append([]string{b.work}, elements...)...)
}

// files lays the recipe's files out like the root.
func (b *build) files() error {
	for _, folder := range []string{"files", "image"} {
		if err := os.Mkdir(b.path(folder), 0o755); err != nil {
			return err
		}
	}
	// What mmdebstrap's user of apt looks through, and the versions, which everybody may read.
	if err := os.Chmod(b.work, 0o755); err != nil {
		return err
	}
	for _, f := range b.recipe.Files {
		if err := copyTo(f.Source, b.path("files"), f.Target); err != nil {
			return fmt.Errorf("adding the recipe's %q: %w", f.Target, err)
		}
	}
	return nil
}

// copyTo copies a file or a folder, with the symlinks in it, to target below tree. Of the permissions only that to execute
// counts.
func copyTo(source, tree, target string) error {
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return err
	}
	if err := makeFolders(tree, filepath.Dir(target)); err != nil {
		return err
	}
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(target, strings.TrimPrefix(path, source))
		switch entry.Type() {
		case fs.ModeDir:
			return makeFolders(tree, to)
		case fs.ModeSymlink:
			link, err := os.Readlink(path)
			return errors.Join(err, os.Symlink(link, filepath.Join(tree, to)))
		case 0:
			return copyFile(path, filepath.Join(tree, to))
		}
		return fmt.Errorf("%q is neither a file nor a folder", path)
	})
}

// makeFolders makes a folder below tree, and those around it. A symlink on the way, which is another file of the recipe,
// would lead out of the tree.
func makeFolders(tree, folder string) error {
	path := tree
	for _, name := range strings.Split(strings.Trim(filepath.Clean("/"+folder), "/"), "/") {
		path = filepath.Join(path, name)
		err := os.Mkdir(path, 0o755)
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return err
			}
			continue
		}
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			return errors.Join(fmt.Errorf("the recipe has another file at %q", strings.TrimPrefix(path, tree)), err)
		}
	}
	return nil
}

// copyFile makes a file in the place of what is there; a symlink is replaced, and not written through.
func copyFile(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// root installs the packages, and leaves kernel and initrd in the folder image.
func (b *build) root() error {
	args := []string{
		"mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
		"--include=" + strings.Join(b.recipe.Packages, ","),
		`--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/info/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=" + filepath.Join(paths.ImageHooks, "prepare"),
	}
	for _, c := range b.recipe.Commands {
		args = append(args, `--customize-hook=chroot "$1" sh -euc `+shellQuote(c))
	}
	args = append(args, "--customize-hook="+filepath.Join(paths.ImageHooks, "finish"), b.recipe.Suite, b.path("root"))
	env := append(os.Environ(),
		"INITRD=No", // the kernel's package would make an initrd for a machine of its own
		"LC_ALL=C.UTF-8", "TZ=UTC", "FILES="+b.path("files"), "OUTPUT="+b.path("image"))
	return contained(b.ctx, b.say, env, append(args, b.recipe.Mirrors...)...)
}

// shellQuote returns a word of shell that stands for s.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// programs leaves what the root has for menus in the folder image.
func (b *build) programs() error {
	b.say("reading the programs for menus")
	root, err := os.Open(b.path("root"))
	if err != nil {
		return err
	}
	defer root.Close()
	found, leftOut := apps.FromRoot(root)
	b.leftOut = leftOut
	if len(found) == 0 {
		return nil
	}
	if err := apps.WriteFolder(b.path("image", appsFolder), found); err != nil {
		return fmt.Errorf("writing the programs for menus: %w", err)
	}
	return nil
}

// erofs makes the root's image. Every file in it is as old as the kernel.
func (b *build) erofs() error {
	b.say("making root.erofs")
	kernel, err := os.Stat(b.path("image", "vmlinuz"))
	if err != nil {
		return fmt.Errorf("looking for the kernel: %w", err)
	}
	return contained(b.ctx, b.say, os.Environ(), "mkfs.erofs", "--quiet", "-zlz4",
		fmt.Sprintf("-T%d", kernel.ModTime().Unix()), "-U00000000-0000-0000-0000-000000000001",
		b.path("image", "root.erofs"), b.path("root"))
}

var errInterrupted = command.Errorf("the image is as it was", "interrupted")
