// Package cmdline reads the vmsilo.* parameters of a guest's kernel command line.
//
// The command line comes from the host's configuration, but whatever is read from it ends in unit files, udev rules
// and file names. So every value is checked here, once, against a strict grammar; what this package returns holds no
// quote, backslash, percent sign or control byte, and nothing but a share's target holds a space.
//
// A parameter that is malformed is reported by its name and left out; the others are honoured.
package cmdline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// MaxLine is how many bytes of a command line are looked at; x86 kernels keep 2048, others 4096.
	MaxLine = 16 << 10
	// MaxValue bounds one value, encoded, in bytes.
	MaxValue = 512
)

// prefix is what all parameters of ours start with. The kernel leaves parameters with a dot to their module; there is
// no module of this name.
const prefix = "vmsilo."

// naming is the parameter that others refer to.
const naming = "vmsilo.ifname"

// Load reads the command line of the running kernel. What is wrong with one parameter is in Params; the error is about
// the line as a whole.
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

// Parse reads a command line. Parameters that do not start with "vmsilo." are none of our business. The error is
// about the line as a whole.
func Parse(line string) (Params, error) {
	if len(line) > MaxLine {
		return Params{}, fmt.Errorf("kernel command line is longer than %d bytes", MaxLine)
	}
	p := &parser{seen: map[string]bool{}}
	all := words(line)
	// Names come first, wherever they stand: addresses and the like are an interface's.
	p.each(all, func(key string) bool { return key == naming })
	p.each(all, func(key string) bool { return key != naming && strings.HasPrefix(key, prefix) })
	return p.params, nil
}

type parser struct {
	params Params
	seen   map[string]bool
}

// each reads the words whose key is wanted.
func (p *parser) each(words []string, wanted func(key string) bool) {
	for _, word := range words {
		if key, value, ok := strings.Cut(word, "="); wanted(key) {
			p.param(key, value, ok)
		}
	}
}

func (p *parser) param(key, raw string, hasValue bool) {
	if err := p.set(key, raw, hasValue); err != nil {
		p.params.Malformed = append(p.params.Malformed, &ParamError{Param: printable(key), Err: err})
	}
}

func (p *parser) set(key, raw string, hasValue bool) error {
	setter, known := setters[key]
	switch {
	case !known:
		return errors.New("not known to this image")
	case p.seen[key] && !setter.many:
		return errors.New("given twice; the first one counts")
	case !hasValue:
		return errors.New("has no value")
	}
	p.seen[key] = true
	value, err := decode(raw)
	if err != nil {
		return err
	}
	return setter.set(&p.params, value)
}

// setters holds the parameters that there are.
var setters = map[string]struct {
	set  func(*Params, string) error
	many bool // it may be given more than once
}{
	"vmsilo.name":          {set: setName},
	"vmsilo.ifname":        {set: addInterface, many: true},
	"vmsilo.address":       {set: addAddress, many: true},
	"vmsilo.gateway":       {set: addGateway, many: true},
	"vmsilo.mtu":           {set: setMTU, many: true},
	"vmsilo.dns":           {set: addDNS, many: true},
	"vmsilo.clients":       {set: setClients},
	"vmsilo.share":         {set: addShare, many: true},
	"vmsilo.overlay":       {set: setOverlay},
	"vmsilo.home":          {set: setHome},
	"vmsilo.wayland_proxy": {set: setWaylandProxy},
}
