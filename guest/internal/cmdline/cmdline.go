// Package cmdline reads the vmsilo.* parameters of a guest's kernel command line.
//
// The command line comes from the host's configuration, but whatever is read from it ends in unit files, udev rules
// and file names. So every value is checked here, once, against a strict grammar; what this package returns holds no
// space, quote, slash, percent sign or control byte.
//
// A parameter that is malformed is reported by its name and left out; the others are honoured.
package cmdline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

const (
	// MaxLine is how many bytes of a command line are looked at; x86 kernels keep 2048, others 4096.
	MaxLine = 16 << 10
	// MaxValue bounds one value, encoded, in bytes.
	MaxValue = 512
	// MaxInterfaces is how many interfaces a VM can have: indexes 22 to 36 of the design.
	MaxInterfaces = 15
)

// prefix is what all parameters of ours start with. The kernel leaves parameters with a dot to their module; there is
// no module of this name.
const prefix = "vmsilo."

// Values of vmsilo.overlay and vmsilo.home.
const (
	OverlayDisk  = "qcow2"
	OverlayTmpfs = "tmpfs"
	HomeVirtiofs = "virtiofs"
	HomeNone     = "none"
)

// Interface is one vmsilo.ifname: the name that the interface with this MAC has to get.
type Interface struct {
	Name string
	// MAC is in lower case with colons, as sysfs prints it.
	MAC string
}

// Params is all that the host told this guest. A field is empty when its parameter is missing or malformed.
type Params struct {
	Name         string
	Interfaces   []Interface // in the order of the command line; names and MACs are unique
	Overlay      string      // OverlayDisk or OverlayTmpfs
	Home         string      // HomeVirtiofs or HomeNone
	WaylandProxy string
}

// ParamError is one parameter that was not understood.
type ParamError struct {
	Param string // the whole name, such as "vmsilo.ifname"
	Err   error
}

func (e *ParamError) Error() string { return fmt.Sprintf("kernel parameter %s: %v", e.Param, e.Err) }

// Unwrap gives what was wrong with the value.
func (e *ParamError) Unwrap() error { return e.Err }

// Load reads the command line of the running kernel. A file that cannot be read is an error of its own; else the error
// joins a *ParamError for each malformed parameter, and Params holds the others.
func Load() (Params, error) {
	f, err := os.Open("/proc/cmdline")
	if err != nil {
		return Params{}, fmt.Errorf("reading the kernel command line: %w", err)
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, MaxLine+1))
	if err != nil {
		return Params{}, fmt.Errorf("reading the kernel command line: %w", err)
	}
	return Parse(string(line))
}

// Parse reads a command line. Params is valid also when the error is not nil: the error joins a *ParamError for each
// parameter that was left out. Parameters that do not start with "vmsilo." are none of our business.
func Parse(line string) (Params, error) {
	if len(line) > MaxLine {
		return Params{}, fmt.Errorf("kernel command line is longer than %d bytes", MaxLine)
	}
	p := &parser{seen: map[string]bool{}}
	for _, word := range words(line) {
		if key, value, ok := strings.Cut(word, "="); strings.HasPrefix(key, prefix) {
			p.param(key, value, ok)
		}
	}
	return p.params, errors.Join(p.errs...)
}

type parser struct {
	params Params
	seen   map[string]bool
	errs   []error
}

// setters holds the parameters that may be given once.
var setters = map[string]func(*Params, string) error{
	"vmsilo.name":          setName,
	"vmsilo.overlay":       setOverlay,
	"vmsilo.home":          setHome,
	"vmsilo.wayland_proxy": setWaylandProxy,
}

func (p *parser) param(key, raw string, hasValue bool) {
	if err := p.set(key, raw, hasValue); err != nil {
		p.errs = append(p.errs, &ParamError{Param: printable(key), Err: err})
	}
}

func (p *parser) set(key, raw string, hasValue bool) error {
	setter, once := setters[key]
	switch {
	case !once && key != "vmsilo.ifname":
		return errors.New("not known to this image")
	case once && p.seen[key]:
		return errors.New("given twice; the first one counts")
	case !hasValue:
		return errors.New("has no value")
	}
	p.seen[key] = true
	value, err := decode(raw)
	if err != nil {
		return err
	}
	if once {
		return setter(&p.params, value)
	}
	return addInterface(&p.params, value)
}

func setName(p *Params, value string) error {
	if !ValidName(value) {
		return fmt.Errorf("%q is not a VM's name", value)
	}
	p.Name = value
	return nil
}

func setOverlay(p *Params, value string) error {
	return oneOf(&p.Overlay, value, OverlayDisk, OverlayTmpfs)
}

func setHome(p *Params, value string) error {
	return oneOf(&p.Home, value, HomeVirtiofs, HomeNone)
}

func setWaylandProxy(p *Params, value string) error {
	return oneOf(&p.WaylandProxy, value, "wayland-proxy-virtwl", "sommelier", "waypipe", "none")
}

func oneOf(field *string, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			*field = value
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", value, strings.Join(allowed, ", "))
}

func addInterface(p *Params, value string) error {
	name, rest, ok := strings.Cut(value, ",")
	if !ok {
		return fmt.Errorf("%q is not IFNAME,MAC", value)
	}
	if !ValidInterfaceName(name) {
		return fmt.Errorf("%q cannot be the name of an interface", name)
	}
	mac, err := parseMAC(rest)
	if err != nil {
		return err
	}
	for _, other := range p.Interfaces {
		if other.Name == name || other.MAC == mac {
			return fmt.Errorf("%q clashes with %s,%s", value, other.Name, other.MAC)
		}
	}
	if len(p.Interfaces) == MaxInterfaces {
		return fmt.Errorf("%q is one too many: a VM has %d interfaces at most", value, MaxInterfaces)
	}
	p.Interfaces = append(p.Interfaces, Interface{Name: name, MAC: mac})
	return nil
}

// parseMAC accepts six bytes with colons that name one station: not a group, not all zeros.
func parseMAC(s string) (string, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(s) != len("00:00:00:00:00:00") || s[2] != ':' {
		return "", fmt.Errorf("%q is not a MAC address", s)
	}
	if mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
		return "", fmt.Errorf("MAC address %q is not a unicast one", s)
	}
	return mac.String(), nil
}
