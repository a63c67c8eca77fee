package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
)

// moves returns warnings of interfaces that have another index by now than in the units in folder, which are those of the last
// daemon-reload: the index is that of the name among the VM's others, so that adding or removing one moves those behind it, and
// with the index all that is made of it. The units are all that is known of how a VM was before.
func moves(c configured, folder string) (warnings []config.Error) {
	for _, name := range c.names() {
		m := c.sound[name]
		if m == nil {
			continue
		}
		for _, i := range m.Interfaces {
			was := environment(filepath.Join(folder, "vmsilo-netdev@"+name+":"+i.Name+".service.d", "50-vmsilo.conf"))
			if was["TAP"] == "" || was["TAP"] == i.TAP {
				continue
			}
			warnings = append(warnings, config.Error{
				Position: m.At("network", "interfaces", i.Name),
				Message:  "warning: " + moved(i, was),
				Hint:     "an interface whose name is behind the others' moves none of them",
			})
		}
	}
	return warnings
}

// moved tells where an interface goes from the values that it has in its unit.
func moved(i machine.Interface, was map[string]string) string {
	text := fmt.Sprintf("interface %q moves to index %d: its PCI device, its TAP from %s to %s", i.Name, i.Index, was["TAP"], i.TAP)
	is := strings.Join(i.Addresses, ",")
	if was["ADDRESSES"] != is && was["ADDRESSES"] != "" && is != "" {
		text += fmt.Sprintf(", its addresses from %s to %s", was["ADDRESSES"], is)
	}
	return text
}

// environment returns the variables that a drop-in of the generator sets; none of one that is not there.
func environment(path string) map[string]string {
	values := map[string]string{}
	file, err := os.Open(path)
	if err != nil {
		return values
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if setting, found := strings.CutPrefix(lines.Text(), "Environment="); found {
			name, value, _ := strings.Cut(strings.Trim(setting, `"`), "=")
			values[name] = value
		}
	}
	return values
}
