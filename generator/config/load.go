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
	// Broken holds every other VM by its name.
	Broken map[string]Broken
	// files are the errors of files that belong to no VM.
	files []Error
}

// Broken is a VM that cannot be built.
type Broken struct {
	// VM is what could be read of it.
	VM VM
	// Errors say why it cannot be built.
	Errors []Error
}

// refuse takes a VM out, with what is wrong with it.
func (c *Config) refuse(vm VM, errs []Error) {
	c.VMs = slices.DeleteFunc(c.VMs, func(other VM) bool { return other.Name == vm.Name })
	c.Broken[vm.Name] = Broken{vm, capped(ordered(append(c.Broken[vm.Name].Errors, errs...)))}
}

// Refuse takes the VM named name out, with what is wrong with it.
func (c *Config) Refuse(name string, errs []Error) {
	if i := slices.IndexFunc(c.VMs, func(vm VM) bool { return vm.Name == name }); i >= 0 {
		c.refuse(c.VMs[i], errs)
	}
}

// Errors returns every error of every file once, ordered by file and place.
func (c *Config) Errors() []Error {
	all := slices.Clone(c.files)
	for _, broken := range c.Broken {
		all = append(all, broken.Errors...)
	}
	return ordered(all)
}

// Load reads the configuration in the folders of path, the highest precedence first.
// A folder that is not there is empty. Load never fails: what is wrong is in the result.
func Load(path []string) *Config {
	c := &Config{Broken: map[string]Broken{}}
	files, errs := find(path)
	host, defaults, hostErrs := loadHost(files[hostFile])
	delete(files, hostFile)
	// What could not be read, be it a folder or a default, may be what restricts.
	hostErrs = append(errs, hostErrs...)
	c.files = capped(ordered(hostErrs))
	for _, base := range slices.Sorted(maps.Keys(files)) {
		name := strings.TrimSuffix(base, ".toml")
		tree, errs := loadTree(files[base])
		if tree == nil && errs == nil {
			continue // masked
		}
		if problem := checkName(name); problem != "" {
			c.files = append(c.files, fileError(files[base], problem, nameRule))
			continue
		}
		vm := VM{Name: name, Path: files[base]}
		if errs == nil {
			vm, errs = decodeVM(name, merge(defaults, tree), host)
		}
		c.VMs = append(c.VMs, vm)
		if errs = append(errs, c.files[:min(len(hostErrs), len(c.files))]...); errs != nil {
			c.refuse(vm, errs)
		}
	}
	c.checkIDs()
	c.checkDependencies()
	return c
}

// find returns the configuration files by their base names, and errors for folders that cannot be listed.
func find(path []string) (files map[string]string, errs []Error) {
	files = map[string]string{}
	for _, folder := range path {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fileError(folder, "this folder cannot be listed: "+errors.Unwrap(err).Error(), ""))
		}
		for _, e := range entries {
			base := e.Name()
			if _, overridden := files[base]; overridden || strings.HasPrefix(base, ".") || !strings.HasSuffix(base, ".toml") {
				continue
			}
			files[base] = filepath.Join(folder, base)
		}
	}
	return files, errs
}

// fileError is an error about a file or folder as a whole.
func fileError(path, message, hint string) Error {
	return Error{Position{&File{Path: path}, span{}}, message, hint}
}

// loadTree returns the tree of a file, or its errors, or neither when the file is masked.
func loadTree(path string) (*Node, []Error) {
	file, err := readFile(path)
	if err != nil {
		return nil, []Error{fileError(path, err.Error(), "")}
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
