package apps

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vmsilo/internal/printable"
)

// errNotShown is the error of a desktop file that is for no menu.
var errNotShown = errors.New("it is not for menus")

// wanted are the keys that are read. Any other counts for nothing: translations, actions, activation by D-Bus.
var wanted = []string{"Type", "Name", "Comment", "Exec", "Icon", "Terminal", "NoDisplay", "Hidden", "OnlyShowIn"}

const (
	maxName    = 100 // characters
	maxComment = 300
)

// parse returns the program of a desktop file, and what that says of its icon. The error is errNotShown where no menu is to
// have it.
func parse(text string) (app App, icon string, err error) {
	values, err := entry(text)
	if err != nil {
		return app, "", err
	}
	switch kind := values["Type"]; {
	case kind == "":
		return app, "", errors.New("it has no Type")
	case kind != "Application", isTrue(values["NoDisplay"]), isTrue(values["Hidden"]), values["OnlyShowIn"] != "":
		return app, "", errNotShown
	}
	for _, key := range []string{"Name", "Comment", "Exec", "Icon"} {
		if values[key], err = unescape(values[key]); err != nil {
			return app, "", fmt.Errorf("its %s %w", key, err)
		}
	}
	app.Name = Line(values["Name"], maxName)
	if app.Name == "" {
		return app, "", errors.New("it has no Name")
	}
	app.Comment = Line(values["Comment"], maxComment)
	app.Terminal = isTrue(values["Terminal"])
	if values["Exec"] == "" {
		return app, "", errors.New("it has no Exec")
	}
	if app.Args, err = split(values["Exec"], app.Name); err != nil {
		return app, "", fmt.Errorf("its Exec %w", err)
	}
	return app, values["Icon"], nil
}

// entry returns the values of the wanted keys, as they are written.
func entry(text string) (map[string]string, error) {
	values := map[string]string{}
	begun := false
	for line := range strings.Lines(text) {
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if !begun {
			if begun = line == "[Desktop Entry]"; !begun {
				break
			}
			continue
		}
		if line[0] == '[' {
			break // its other groups are for what is not read
		}
		key, value, _ := strings.Cut(line, "=")
		key = strings.TrimRight(key, " \t")
		if !slices.Contains(wanted, key) {
			continue
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("it has %s twice", key)
		}
		values[key] = strings.TrimLeft(value, " \t")
	}
	if !begun {
		return nil, errors.New("it does not begin with [Desktop Entry]")
	}
	return values, nil
}

// isTrue tells what a boolean says; old files have a number.
func isTrue(value string) bool { return value == "true" || value == "1" }

// escapes are those of the specification's section "Possible value types".
var escapes = map[byte]byte{'s': ' ', 'n': '\n', 't': '\t', 'r': '\r', '\\': '\\'}

func unescape(value string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			out.WriteByte(value[i])
			continue
		}
		i++
		if i == len(value) {
			return "", errors.New("ends with a backslash")
		}
		plain, known := escapes[value[i]]
		if !known {
			return "", fmt.Errorf("has the unknown escape %q", value[i-1:i+1])
		}
		out.WriteByte(plain)
	}
	return out.String(), nil
}

// Line returns text as one line that any program can show, of a length in characters at most. Of blanks, which could push the
// rest out of sight, one is left.
func Line(text string, length int) string {
	words := strings.Fields(strings.Map(printable.Rune, strings.ToValidUTF8(text, "?")))
	runes := []rune(strings.Join(words, " "))
	if len(runes) > length {
		runes = append(runes[:length-1], '…')
	}
	return string(runes)
}

// File returns a desktop file of keys, each followed by its value. A key whose value is "" is left out.
func File(pairs ...string) []byte {
	text := "[Desktop Entry]\n"
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			text += pairs[i] + "=" + escaper.Replace(pairs[i+1]) + "\n"
		}
	}
	return []byte(text)
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`)
