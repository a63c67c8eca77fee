// Vmsilo-menus has the programs of VMs in the menus of the users that the VMs belong to.
//
// Synopsis:
//
//	vmsilo-menus FOLDER
//
// Description:
//
// It reads the configuration as vmsilo-generator does, and beside the root of each VM, in its image, the folder apps. For
// each user who has VMs with programs it makes the folder FOLDER/UID:
//
//	share/applications/vmsilo.NAME.ID.desktop    has vmsilo run start a program
//	share/desktop-directories/vmsilo-NAME.directory
//	xdg/menus/applications-merged/vmsilo.menu    has the programs of each VM in a folder of their own
//	icons/
//
// What was there before goes away in one step; a folder that is as it should be is left alone. So is every other VM, when the
// file, the image or the user of one will not do: it says what is left out. vmsilo-menus.path has it run when files of the
// configuration change, and when another version of an image becomes the current one.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"

	"golang.org/x/sys/unix"
	"vmsilo/generator/config"
	"vmsilo/generator/machine"
	"vmsilo/internal/apps"
	"vmsilo/internal/command"
	"vmsilo/vmm/known"
)

func main() {
	// systemd's journal has the time.
	log.SetFlags(0)
	command.Main(run)
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("it wants one argument, the folder of the menus")
	}
	// Everybody's programs read what it writes.
	unix.Umask(0o022)
	menus, leftOut := collect(args[0])
	for _, line := range leftOut {
		log.Print(line)
	}
	if err := menus.write(args[0]); err != nil {
		return fmt.Errorf("writing the menus: %w", err)
	}
	return nil
}

// collect returns the menus of all users, in the folder where they will be, and says what is left out of them and why.
func collect(folder string) (menus, []string) {
	c := collector{folder: folder, menus: menus{}, uids: map[string]string{}, images: map[string][]apps.App{}}
	for _, m := range machine.All(config.Load(config.Path(), known.Hypervisors())) {
		if err := c.vm(m.VM); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.leftOut = append(c.leftOut, fmt.Sprintf("VM %q: %v", m.Name, err))
		}
	}
	return c.menus, c.leftOut
}
