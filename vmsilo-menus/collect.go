package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"vmsilo/generator/config"
	"vmsilo/internal/accounts"
	"vmsilo/internal/apps"
)

// menus are the files of each user's menu, by the user's uid, and by their paths in the folder.
type menus map[string]map[string][]byte

// collector makes menus.
type collector struct {
	// folder is where the menus will be.
	folder string
	menus  menus
	// uids and images are what has been looked up, by the users of VMs, and by the folders of programs.
	uids   map[string]string
	images map[string][]apps.App
	// leftOut are messages.
	leftOut []string
}

// vm adds the programs of a VM to its user's menu.
func (c *collector) vm(vm *config.VM) error {
	programs, err := c.programs(filepath.Join(filepath.Dir(vm.Root), "apps"))
	if err != nil || len(programs) == 0 {
		return err
	}
	uid, err := c.uid(vm.User)
	if err != nil {
		return err
	}
	if c.menus[uid] == nil {
		c.menus[uid] = map[string][]byte{}
	}
	c.add(vm, uid, programs)
	return nil
}

// programs returns those that an image's folder has; there are none in one that is not there.
func (c *collector) programs(path string) ([]apps.App, error) {
	if found, known := c.images[path]; known {
		return found, nil
	}
	// Anything may be there, and may be in the place of a folder.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	folder := os.NewFile(uintptr(fd), path)
	defer folder.Close()
	found, leftOut := apps.FromFolder(folder)
	for _, line := range leftOut {
		c.leftOut = append(c.leftOut, path+": "+line)
	}
	c.images[path] = found
	return found, nil
}

// uid returns the uid of a user, who is a name or a uid.
func (c *collector) uid(user string) (string, error) {
	if number, err := strconv.ParseUint(user, 10, 32); err == nil {
		return strconv.FormatUint(number, 10), nil
	}
	if c.uids[user] == "" {
		uid, _, err := accounts.User(user)
		if err != nil {
			return "", err
		}
		c.uids[user] = strconv.Itoa(uid)
	}
	return c.uids[user], nil
}

// add makes the files of a VM.
func (c *collector) add(vm *config.VM, uid string, programs []apps.App) {
	files := c.menus[uid]
	mark := c.put(uid, "vmsilo-"+vm.Name+".svg", folderIcon(vm.Color))
	files["share/desktop-directories/vmsilo-"+vm.Name+".directory"] = apps.File(
		"Type", "Directory",
		"Name", vm.Name,
		"Comment", apps.Line(vm.Description, 300),
		"Icon", mark,
	)
	for _, app := range programs {
		icon := mark
		if app.Icon != nil {
			icon = c.put(uid, fmt.Sprintf("%.12x.png", sha256.Sum256(app.Icon)), app.Icon)
		}
		files["share/applications/vmsilo."+vm.Name+"."+app.ID+".desktop"] = apps.File(
			"Type", "Application",
			// First the VM's: what follows is the guest's, and may be anything, such as another VM's name.
			"Name", vm.Name+": "+app.Name,
			"Comment", app.Comment,
			"Exec", apps.Exec(start(vm.Name, app)),
			"Icon", icon,
			"Terminal", fmt.Sprint(app.Terminal),
			"Categories", category(vm.Name)+";",
		)
	}
	const menu = "xdg/menus/applications-merged/vmsilo.menu"
	text := strings.TrimSuffix(string(files[menu]), menuEnd)
	if text == "" {
		text = menuBegin
	}
	files[menu] = []byte(text + fmt.Sprintf(menuVM, vm.Name, category(vm.Name)) + menuEnd)
}

// put adds an icon to the user's files, and returns the path that it will have.
func (c *collector) put(uid, name string, data []byte) string {
	c.menus[uid]["icons/"+name] = data
	return filepath.Join(c.folder, uid, "icons", name)
}

// start returns what starts a program in a VM: vmsilo-run(1).
func start(vm string, app apps.App) []string {
	args := []string{"vmsilo", "run"}
	if app.Terminal {
		args = append(args, "-t")
	}
	return append(append(args, vm, "--"), app.Args...)
}
