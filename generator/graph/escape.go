package graph

import (
	"fmt"
	"strings"
)

// isPlain tells of every byte whether it stands for itself in every unit file setting.
var isPlain = func() (table [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@") {
		table[c] = true
	}
	return table
}()

// execLine returns a command for ExecStart= and its like, quoted by the rules of "Command lines" in
// systemd.service(5) and "Quoting" in systemd.syntax(7): the program runs with exactly these words.
func execLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strings.ReplaceAll(quote(w), "$", "$$")
	}
	return strings.Join(quoted, " ")
}

// quote returns a word for a setting that takes quoted words, such as Environment=:
// specifiers, quotes, blanks and control characters lose their meaning.
func quote(word string) string {
	n := 0
	for n < len(word) && isPlain[word[n]] {
		n++
	}
	if n == len(word) && n > 0 {
		return word
	}
	var b strings.Builder
	b.Grow(len(word) + len(`""`))
	b.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; {
		case c == '%':
			b.WriteString("%%")
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bindEscapes are the escapes of a path for BindPaths=.
var bindEscapes = strings.NewReplacer(" ", `\ `, ":", `\:`, `\`, `\\`, `"`, `'"'`, "'", `"'"`, "%", "%%")

// quoteBind returns a path for BindPaths=, in which a colon is a separator as a blank is, and a backslash takes the
// meaning of these two and of itself alone: config_parse_bind_paths() of systemd. Quotes stand in the other kind.
func quoteBind(path string) string {
	return bindEscapes.Replace(path)
}

// line returns text for a setting that takes the rest of its line, such as Description=.
// A newline would begin another setting, and a backslash at the end would take the next line in.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "%", "%%"))
	if strings.HasSuffix(text, `\`) {
		text += " "
	}
	return text
}

// sliceName returns the slice of a VM; a dash in its name would otherwise nest it in another slice.
func sliceName(vm string) string {
	return "vmsilo-" + strings.ReplaceAll(vm, "-", `\x2d`) + ".slice"
}
