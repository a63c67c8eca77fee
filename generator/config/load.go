package config

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hostFile is the name of the file that is about the host and no VM.
const hostFile = "vmsilo.toml"

// DefaultPath is where configuration is read, the highest precedence first.
var DefaultPath = []string{"/etc/vmsilo", "/usr/lib/vmsilo"}

// Config is the whole configuration.
type Config struct {
	// VMs are those whose files hold no error, by name.
	VMs []VM
	// Broken holds, for every other VM, what is wrong with it.
	Broken map[string][]Error
	// files are the errors of files that belong to no VM.
	files []Error
}

// Refuse takes a VM out, with what is wrong with it.
func (c *Config) Refuse(name string, errs ...Error) {
	c.VMs = slices.DeleteFunc(c.VMs, func(vm VM) bool { return vm.Name == name })
	c.Broken[name] = append(c.Broken[name], errs...)
}

// Errors returns every error of every file once, ordered by file and place.
func (c *Config) Errors() []Error {
	all := slices.Clone(c.files)
	for _, errs := range c.Broken {
		all = append(all, errs...)
	}
	return ordered(all)
}

// Load reads the configuration in the folders of path, the highest precedence first.
// A folder that is not there is empty. Load never fails: what is wrong is in the result.
func Load(path []string) *Config {
	c := &Config{Broken: map[string][]Error{}}
	files := find(path)
	host, defaults, hostErrs := loadHost(files[hostFile])
	delete(files, hostFile)
	c.files = hostErrs
	for _, base := range slices.Sorted(maps.Keys(files)) {
		name := strings.TrimSuffix(base, ".toml")
		tree, errs := loadTree(files[base])
		if tree == nil && errs == nil {
			continue // masked
		}
		if problem := checkName(name); problem != "" {
			at := Position{&File{Path: files[base]}, span{}}
			c.files = append(c.files, Error{at, problem, nameRule})
			continue
		}
		var vm VM
		if errs == nil {
			vm, errs = decodeVM(name, merge(defaults, tree), host)
		}
		// A default that could not be read may be one that restricts.
		if errs = append(errs, hostErrs...); errs != nil {
			c.Broken[name] = ordered(errs)
			continue
		}
		c.VMs = append(c.VMs, vm)
	}
	c.checkIDs()
	return c
}

// find returns the configuration files by their base names.
func find(path []string) map[string]string {
	files := map[string]string{}
	for _, folder := range path {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			// What cannot be listed is reported where every VM meets it.
			files[hostFile] = folder
		}
		for _, e := range entries {
			base := e.Name()
			if _, overridden := files[base]; overridden || strings.HasPrefix(base, ".") || !strings.HasSuffix(base, ".toml") {
				continue
			}
			files[base] = filepath.Join(folder, base)
		}
	}
	return files
}

// loadTree returns the tree of a file, or its errors, or neither when the file is masked.
func loadTree(path string) (*Node, []Error) {
	file, err := readFile(path)
	if err != nil {
		return nil, []Error{{Position{&File{Path: path}, span{}}, err.Error(), ""}}
	}
	if file == nil {
		return nil, nil
	}
	return parse(file)
}

func loadHost(path string) (Host, *Node, []Error) {
	host := Host{User: "1000"}
	if path == "" {
		return host, nil, nil
	}
	tree, errs := loadTree(path)
	if tree == nil {
		return host, nil, errs
	}
	var d decoder
	var defaults *Node
	d.table(tree, d.hostFields(&host, &defaults))
	if defaults != nil {
		d.checkDefaults(defaults)
	}
	return host, defaults, d.errs
}

// checkDefaults decodes [defaults] as a VM, so that its errors are found where no VM is.
func (d *decoder) checkDefaults(defaults *Node) {
	for _, key := range []string{"id", "disks", "pci_devices"} {
		if n := defaults.table[key]; n != nil {
			d.errorf(n.key, "move it to the VMs' own files", "%q is each VM's own and cannot be a default", key)
			delete(defaults.table, key)
		}
	}
	d.table(defaults, d.vmFields(&VM{}, &imageKeys{}))
}
