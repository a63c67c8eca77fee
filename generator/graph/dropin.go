package graph

// dropinName is the file that the generator writes for a unit; one of this name in /etc replaces it.
const dropinName = "50-vmsilo.conf"

// header begins every drop-in.
const header = "# Written by vmsilo-generator; changes here are lost. Use systemctl edit.\n"

// dropin is a drop-in that is being written.
type dropin struct {
	path, section string
	content       []byte
}

// newDropin begins the drop-in of a unit.
func newDropin(unit string) *dropin { return newNamedDropin(unit, dropinName) }

func newNamedDropin(unit, name string) *dropin {
	return &dropin{path: unit + ".d/" + name, content: append(make([]byte, 0, 1024), header...)}
}

// set adds a setting; its value is already quoted as the setting wants it. Settings of one section come together.
func (d *dropin) set(section, name, value string) {
	if section != d.section {
		if d.section != "" {
			d.content = append(d.content, '\n')
		}
		d.content = append(append(append(d.content, '['), section...), "]\n"...)
		d.section = section
	}
	d.content = append(append(append(append(d.content, name...), '='), value...), '\n')
}

// exec replaces the commands of a setting.
func (d *dropin) exec(section, name string, commands ...[]string) {
	d.set(section, name, "")
	for _, words := range commands {
		d.set(section, name, execLine(words))
	}
}

// env sets an environment variable. A template's command lines take values from there and are the same for every VM:
// when a reload changes a command line under a unit that is starting, systemd leaves out those after it.
func (d *dropin) env(section, name, value string) {
	d.set(section, "Environment", quote(name+"="+value))
}

func (d *dropin) file() File { return File{Path: d.path, Content: d.content} }
