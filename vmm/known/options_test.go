package known

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vmsilo/generator/config"
	"vmsilo/generator/machine"
)

// options are what a VMM's documentation says of its command line: the file options of its folder. There each option has a line, and
// behind it what its value may be: nothing where it takes none; * for anything; or the keys of its value, and # where that
// may begin with a number. KEY= needs a value, KEY[=] can have one. Where keys depend on the value's first word, there
// is a line for each, which has WORD: before the keys.
type options map[string][][]string

func documented(t *testing.T, name string) options {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", strings.ReplaceAll(name, "-", ""), "options"))
	if err != nil {
		t.Fatal(err)
	}
	all := options{}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			all[words[0]] = append(all[words[0]], words[1:])
		}
	}
	return all
}

// check returns what is wrong with arguments, the last of which is not an option's where operand is set.
func (o options) check(args []string, operand bool) error {
	if operand {
		args = args[:len(args)-1]
	}
	for len(args) > 0 {
		forms, known := o[args[0]]
		switch {
		case !known:
			return fmt.Errorf("no option %q", args[0])
		case len(forms[0]) == 0:
			args = args[1:]
			continue
		case len(args) == 1:
			return fmt.Errorf("option %q has no value", args[0])
		}
		if err := value(forms, args[1]); err != nil {
			return fmt.Errorf("%s %s: %w", args[0], args[1], err)
		}
		args = args[2:]
	}
	return nil
}

// value returns what is wrong with an option's value, which may have one of these forms.
func value(forms [][]string, text string) error {
	if forms[0][0] == "*" {
		return nil
	}
	if strings.HasPrefix(text, "{") {
		return block(forms, []byte(text))
	}
	parts := split(text)
	if strings.HasSuffix(forms[0][0], ":") {
		form, err := ofKind(forms, parts[0])
		if err != nil {
			return err
		}
		return keys(form, parts[1:])
	}
	if forms[0][0] == "#" && regexp.MustCompile(`^[0-9]+[A-Z]?$`).MatchString(parts[0]) {
		parts = parts[1:]
	}
	return keys(forms[0], parts)
}

// ofKind returns the keys of what begins with the given word.
func ofKind(forms [][]string, kind string) ([]string, error) {
	for _, form := range forms {
		if form[0] == kind+":" {
			return form[1:], nil
		}
	}
	return nil, fmt.Errorf("no kind %q", kind)
}

func keys(known, parts []string) error {
	for _, part := range parts {
		key, _, hasValue := strings.Cut(part, "=")
		if !slices.Contains(known, key+"[=]") && !slices.Contains(known, key+"=") && hasValue || !hasValue &&
			!slices.Contains(known, key+"[=]") && !slices.Contains(known, key) {
			return fmt.Errorf("no key %q that stands so", part)
		}
	}
	return nil
}

// block returns what is wrong with a value of QEMU's that is JSON: an object, which may have others in it.
func block(forms [][]string, text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	var kind string
	if err := json.Unmarshal(object["driver"], &kind); err != nil {
		return fmt.Errorf("its driver: %w", err)
	}
	known, err := ofKind(forms, kind)
	if err != nil {
		return err
	}
	for key, inner := range object {
		if !slices.Contains(known, key+"=") {
			return fmt.Errorf("no key %q of driver %q", key, kind)
		}
		if inner[0] == '{' {
			if err := block(forms, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// split splits a value at its commas, but for those in quotes or brackets.
func split(text string) []string {
	var parts []string
	quoted, depth, start := false, 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// TestDocumented checks what every machine of the generator's golden cases is under every VMM: nothing that the VMM
// does not document. What a user appends is the user's.
func TestDocumented(t *testing.T) {
	folders, err := filepath.Glob("../../generator/vmsilo-generator/testdata/*/etc")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			documented := documented(t, v.Name)
			for _, folder := range folders {
				for _, m := range machine.All(config.Load([]string{folder}, Hypervisors())) {
					m.HypervisorArgs = nil
					command := v.Command(m)
					// Before the program, a helper has its own options.
					args := command[slices.Index(command, v.Program)+1:]
					if err := documented.check(args, v.Name == "crosvm"); err != nil {
						t.Errorf("%s: %s: %v", folder, m.Name, err)
					}
				}
			}
		})
	}
}

// The manual names every VMM.
func TestInManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/vmsilo.toml.5.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if !strings.Contains(string(manual), fmt.Sprintf("%q", v.Name)) {
			t.Errorf("%q is not in vmsilo.toml(5)", v.Name)
		}
	}
}

// What is documented is not all that there could be.
func TestUndocumented(t *testing.T) {
	for _, args := range []string{
		"crosvm run --rng", "crosvm run --block", "crosvm run --block path=/x,read-only", "crosvm run --block path",
		"crosvm run --cpus many", `crosvm run --block path="/x\",ro",rw`, "crosvm run --no-rng yes",
		"cloud-hypervisor --disk path=/x,slot=3", "cloud-hypervisor --serial stdout", "cloud-hypervisor --serial tty=on",
		"cloud-hypervisor --generic-vhost-user device_type=vsock,queue_sizes=[128,128],queues=2", "cloud-hypervisor --pvpanic on",
		"qemu -device virtio-blk-pci,slot=3", "qemu -device virtio-9p-pci", "qemu -rng", "qemu -m lots",
		`qemu -blockdev {"driver":"raw","file":{"driver":"file","name":"/x"}}`, `qemu -blockdev {"driver":"vmdk"}`,
	} {
		words := strings.Fields(args)
		if err := documented(t, words[0]).check(words[1:], false); err == nil {
			t.Errorf("passes: %s", args)
		}
	}
}
