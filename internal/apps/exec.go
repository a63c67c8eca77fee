package apps

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxArgs = 64
	maxExec = 4096 // bytes of all arguments
)

// split returns the arguments of an Exec value whose escapes are resolved: the specification's section "The Exec key". It is
// as strict as that, since launchers differ in what else they make of a line. Files and URLs of the host are nothing to
// a guest: an argument that stands for them is left out. name is what %c stands for.
func split(line, name string) (args []string, err error) {
	if !utf8.ValidString(line) {
		return nil, errors.New("is not UTF-8")
	}
	if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		return nil, fmt.Errorf("has %q, which is not printable", []rune(line[i:])[0])
	}
	size := 0
	for rest := strings.TrimLeft(line, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word string
		if word, rest, err = cutWord(rest); err != nil {
			return nil, err
		}
		arg, keep, err := expand(word, name)
		if err != nil {
			return nil, err
		}
		if keep {
			args, size = append(args, arg), size+len(arg)
		}
		if len(args) > maxArgs || size > maxExec {
			return nil, fmt.Errorf("is longer than %d arguments or %d bytes", maxArgs, maxExec)
		}
	}
	if len(args) == 0 || args[0] == "" || strings.Contains(args[0], "=") {
		return nil, errors.New("names no program")
	}
	return args, nil
}

const (
	// reserved are characters that an argument without quotes has none of; those that are not printable are refused before.
	reserved = "\"'\\><~|&;$*?#()`"
	// quoted are those that have a backslash before them in quotes.
	quoted = "\"`$\\"
)

// cutWord cuts the first argument off a line, without its quotes.
func cutWord(line string) (word, rest string, err error) {
	if line[0] != '"' {
		word, rest, _ = strings.Cut(line, " ")
		if i := strings.IndexAny(word, reserved); i >= 0 {
			return "", "", fmt.Errorf("has %q outside of quotes", word[i])
		}
		return word, rest, nil
	}
	var out strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"' && i+1 < len(line) && line[i+1] != ' ':
			return "", "", errors.New("has quotes around a part of an argument")
		case c == '"':
			return out.String(), line[i+1:], nil
		case c == '\\' && i+1 < len(line) && strings.IndexByte(quoted, line[i+1]) >= 0:
			i++
			out.WriteByte(line[i])
		case strings.IndexByte(quoted, c) >= 0:
			return "", "", fmt.Errorf("has %q in quotes without a backslash", c)
		default:
			out.WriteByte(c)
		}
	}
	return "", "", errors.New("has quotes that do not end")
}

// dropped are field codes that have no meaning in a guest: files and URLs, the icon and the file of the entry, and those
// that are deprecated.
const dropped = "fFuUikdDnNvm"

// expand resolves field codes. keep is false for an argument that is to be left out.
func expand(word, name string) (arg string, keep bool, err error) {
	var out strings.Builder
	keep = true
	for i := 0; i < len(word); i++ {
		if word[i] != '%' {
			out.WriteByte(word[i])
			continue
		}
		i++
		switch {
		case i == len(word):
			return "", false, errors.New("has a single % at the end of an argument")
		case word[i] == '%':
			out.WriteByte('%')
		case word[i] == 'c':
			out.WriteString(name)
		case strings.IndexByte(dropped, word[i]) >= 0:
			keep = false
		default:
			return "", false, fmt.Errorf("has %q, which is no field code", word[i-1:i+1])
		}
	}
	return out.String(), keep, nil
}

// Exec returns args as an Exec value, whose escapes as a string File adds. Every launcher that keeps to the specification
// makes the same args of it: what is not known to be plain is in quotes.
func Exec(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = strings.ReplaceAll(arg, "%", "%%")
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return !isPlain(r) }) {
			words[i] = `"` + quoter.Replace(words[i]) + `"`
		}
	}
	return strings.Join(words, " ")
}

var quoter = strings.NewReplacer(`"`, `\"`, "`", "\\`", `$`, `\$`, `\`, `\\`)

// isPlain tells whether a character needs no quotes.
func isPlain(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_./:=@,+-%", r))
}
