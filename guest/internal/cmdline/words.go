package cmdline

import (
	"errors"
	"fmt"
	"strings"
)

// words splits a command line as the kernel's next_arg (lib/cmdline.c) does: at white space that is not between double
// quotes. The quotes around a whole word or a whole value go; a value of ours has none inside, so any other is left
// for the grammar to refuse.
func words(line string) []string {
	quoted := false
	fields := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || '\t' <= r && r <= '\r' || r == 0)
	})
	for i, word := range fields {
		if strings.HasPrefix(word, `"`) {
			word = strings.TrimSuffix(word[1:], `"`)
		}
		if key, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(value, `"`) {
			word = key + "=" + strings.TrimSuffix(value[1:], `"`)
		}
		fields[i] = word
	}
	return fields
}

// decode undoes the percent-encoding of a value: %HH stands for one byte. All else stands for itself.
func decode(raw string) (string, error) {
	if len(raw) > MaxValue {
		return "", fmt.Errorf("longer than %d bytes", MaxValue)
	}
	var out strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || unhex(raw[i+1]) < 0 || unhex(raw[i+2]) < 0 {
				return "", errors.New("a % is not followed by two hexadecimal digits")
			}
			c = byte(unhex(raw[i+1])<<4 | unhex(raw[i+2]))
			i += 2
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

// unhex is the value of one hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// printable makes a parameter's name fit for a message: short, and without bytes that a terminal would act on.
func printable(key string) string {
	if len(key) > 64 {
		key = key[:64] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, key)
}
