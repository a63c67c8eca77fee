package config

import (
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// hostFile is the name of the file that is about the host and no VM.
const hostFile = "vmsilo.toml"

// DefaultPath is where configuration is read, the highest precedence first.
var DefaultPath = []string{"/etc/vmsilo", "/usr/lib/vmsilo"}

// Path returns the folders of VMSILO_CONFIG_PATH, and else DefaultPath.
func Path() []string {
	if list := os.Getenv("VMSILO_CONFIG_PATH"); list != "" {
		return filepath.SplitList(list)
	}
	return DefaultPath
}

// Config is the whole configuration.
type Config struct {
	// Host is the whole host's part.
	Host Host
	// VMs are those whose files hold no error, by name.
	VMs []*VM
	// Broken holds every other VM by its name.
	Broken map[string]Broken
	// files are the errors of files that belong to no VM.
	files []Error
}

// Broken is a VM that cannot be built.
type Broken struct {
	// VM is what could be read of it.
	VM *VM
	// Errors say why it cannot be built.
	Errors []Error
}

// Refuse takes the VM named name out, with what is wrong with it; one that is out already has that, too.
func (c *Config) Refuse(name string, errs []Error) {
	broken := c.Broken[name]
	if i := slices.IndexFunc(c.VMs, func(vm *VM) bool { return vm.Name == name }); i >= 0 {
		broken.VM = c.VMs[i]
		c.VMs = slices.Delete(c.VMs, i, i+1)
	}
	broken.Errors = capped(ordered(append(broken.Errors, errs...)))
	c.Broken[name] = broken
}

func (c *Config) refuseAll(problems map[string][]Error) {
	for name, errs := range problems {
		c.Refuse(name, errs)
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

// All returns every VM, broken ones as far as they could be read: a VM that is broken by now may be running.
func (c *Config) All() iter.Seq[*VM] {
	return func(yield func(*VM) bool) {
		for _, vm := range c.VMs {
			if !yield(vm) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.Broken)) {
			if !yield(c.Broken[name].VM) {
				return
			}
		}
	}
}

// Load reads the configuration in the folders of path, the highest precedence first, for VMs of these hypervisors.
// A folder that is not there is empty. Load never fails: what is wrong is in the result.
func Load(path []string, hypervisors []Hypervisor) *Config {
	c := &Config{Broken: map[string]Broken{}}
	files, errs := find(path)
	host, defaults, hostErrs := loadHost(files[hostFile], hypervisors)
	delete(files, hostFile)
	// What could not be read, be it a folder or a default, may be what restricts.
	hostErrs = capped(ordered(append(errs, hostErrs...)))
	c.Host = host
	c.files = slices.Clone(hostErrs)
	found := loadVMs(files, defaults, host, hypervisors)
	c.VMs = make([]*VM, 0, len(found))
	for _, l := range found {
		switch {
		case l.masked:
		case l.notVM != nil:
			c.files = append(c.files, *l.notVM)
		default:
			c.VMs = append(c.VMs, l.vm)
			if errs := append(l.errs, hostErrs...); errs != nil {
				c.Refuse(l.vm.Name, errs)
			}
		}
	}
	c.checkIDs()
	c.linkNetVMs()
	c.checkDependencies()
	c.checkDisks()
	c.checkPCIDevices()
	return c
}

// loaded is what a file turned out to be: masked, no VM, or a VM with its errors.
type loaded struct {
	masked bool
	notVM  *Error
	vm     *VM
	errs   []Error
}

// loadVMs reads files, by their base names, and returns what they are in the order of these.
func loadVMs(files map[string]source, defaults *Node, host Host, hypervisors []Hypervisor) []loaded {
	names := slices.Sorted(maps.Keys(files))
	all := make([]loaded, len(names))
	var group sync.WaitGroup
	// Half of the time goes to the kernel, one file after the other, unless the processors share the files.
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := worker; i < len(names); i += workers {
				all[i] = loadVM(names[i], files[names[i]], defaults, host, hypervisors)
			}
		}()
	}
	group.Wait()
	return all
}

func loadVM(base string, file source, defaults *Node, host Host, hypervisors []Hypervisor) loaded {
	name := strings.TrimSuffix(base, ".toml")
	tree, errs := loadTree(file)
	if tree == nil && errs == nil {
		return loaded{masked: true}
	}
	if problem := checkName(name); problem != "" {
		e := fileError(file.path, problem, nameRule)
		return loaded{notVM: &e}
	}
	if errs != nil {
		return loaded{vm: &VM{Name: name, Path: file.path}, errs: errs}
	}
	vm, errs := decodeVM(name, tree, defaults, host, hypervisors)
	return loaded{vm: vm, errs: errs}
}

// source is a file to be read; regular tells that the folder's list has it as a regular file.
type source struct {
	path    string
	regular bool
}

// find returns the configuration files by their base names, and errors for folders that cannot be listed.
func find(path []string) (files map[string]source, errs []Error) {
	files = map[string]source{}
	for _, folder := range path {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, unreadable(folder, "this folder cannot be listed: "+errors.Unwrap(err).Error(), "a+rx", err))
		}
		for _, e := range entries {
			base := e.Name()
			if _, overridden := files[base]; overridden || strings.HasPrefix(base, ".") || !strings.HasSuffix(base, ".toml") {
				continue
			}
			files[base] = source{filepath.Join(folder, base), e.Type().IsRegular()}
		}
	}
	return files, errs
}

// fileError is an error about a file or folder as a whole.
func fileError(path, message, hint string) Error {
	return Error{Position{&File{Path: path}, span{}}, message, hint}
}

// unreadable is the error of a file or folder that cannot be read. Where who asks how a VM is may not, systemd can, and starts it; mode
// lets everybody.
func unreadable(path, message, mode string, err error) Error {
	if !errors.Is(err, os.ErrPermission) {
		return fileError(path, message, "")
	}
	e := fileError(path, message, "everybody reads it who asks about VMs: sudo chmod "+mode+" "+path)
	e.File.Denied = true
	return e
}

// loadTree returns the tree of a file, or its errors, or neither when the file is masked.
func loadTree(from source) (*Node, []Error) {
	file, err := readFile(from)
	if err != nil {
		return nil, []Error{unreadable(from.path, err.Error(), "a+r", err)}
	}
	if file == nil {
		return nil, nil
	}
	return parse(file)
}

func loadHost(from source, hypervisors []Hypervisor) (Host, *Node, []Error) {
	host := Host{User: "1000", Subnet: "10.200.0.0/13", Subnet6: "fd5c:9a3e:71b0::/48"}
	if from.path == "" {
		return host, nil, nil
	}
	tree, errs := loadTree(from)
	if tree == nil {
		return host, nil, errs
	}
	d := decoder{hypervisors: hypervisors}
	var defaults *Node
	d.table(d.hostFields(&host, &defaults)...)(tree)
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
	d.table(d.vmFields(&VM{}, &imageKeys{})...)(defaults)
}
