package graph

import (
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
)

// unquote reads words as systemd does: extract_first_word() with EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE, then specifiers
// and, in a command, variables, for text in which all that begin with one of live were escaped.
func unquote(t *testing.T, text, live string) []string {
	t.Helper()
	var words []string
	for i := 0; i < len(text); {
		if text[i] == ' ' {
			i++
			continue
		}
		var word strings.Builder
		quoted := text[i] == '"'
		if quoted {
			i++
		}
		for ; i < len(text) && (quoted || text[i] != ' '); i++ {
			c := text[i]
			if quoted && c == '"' {
				i++
				break
			}
			if c == '\\' {
				i++
				switch text[i] {
				case 'n':
					c = '\n'
				case 'x':
					c = hex(text[i+1])<<4 | hex(text[i+2])
					i += 2
				default:
					c = text[i]
				}
			} else if strings.IndexByte(live, c) >= 0 {
				i++
				if i == len(text) || text[i] != c {
					t.Fatalf("%q has a live %c", text, c)
				}
			}
			word.WriteByte(c)
		}
		words = append(words, word.String())
	}
	return words
}

func hex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

var seeds = []string{
	"", "plain", "a b", "\n[Service]\nExecStart=/bin/sh", "%n", "$HOME", "${HOME}", "\\", "\"", "'", ";", "-x", "@x",
	"é", "\x01\x7f", "a\\", "%%", "$$", "\t", "#", "a=b", " A=b", "\r\n",
}

func FuzzExecLine(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return // no configuration value holds NUL
		}
		line := execLine([]string{"/bin/prog", a, b})
		if len(line) > 2000 {
			return // this other parser takes no longer line; systemd takes 1 MiB
		}
		// What the file holds must come back from another parser of unit files as one setting.
		options, err := unit.DeserializeOptions(strings.NewReader("[Service]\nExecStart=" + line + "\n"))
		if err != nil || len(options) != 1 || options[0].Value != line {
			t.Fatalf("%q: %v, %v", line, options, err)
		}
		words := unquote(t, line, "%$")
		if len(words) != 3 || words[0] != "/bin/prog" || words[1] != a || words[2] != b {
			t.Errorf("%q, %q: %q reads as %q", a, b, line, words)
		}
	})
}

func FuzzEnvironment(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsRune(value, 0) {
			return // no configuration value holds NUL
		}
		d := newDropin("x.service")
		d.env("Service", "NAME", value)
		content := string(d.file().Content)
		if len(content) > 2000 {
			return // as above
		}
		options, err := unit.DeserializeOptions(strings.NewReader(content))
		if err != nil || len(options) != 1 || options[0].Section != "Service" || options[0].Name != "Environment" {
			t.Fatalf("%q: %v, %v", content, options, err)
		}
		if words := unquote(t, options[0].Value, "%"); len(words) != 1 || words[0] != "NAME="+value {
			t.Errorf("%q: %q reads as %q", value, content, words)
		}
	})
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                    "plain",
		"100%":                     "100%%",
		"a\nExecStart=/bin/sh":     "a ExecStart=/bin/sh",
		"ends in a backslash \\":   "ends in a backslash \\ ",
		"\t\x1b[31mred":            "  [31mred",
		"ünï":                      "ünï",
		"carriage\rreturn\x7f del": "carriage return  del",
	} {
		if got := line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSliceName(t *testing.T) {
	if got := sliceName("my-bank-vm"); got != `vmsilo-my\x2dbank\x2dvm.slice` {
		t.Error(got)
	}
}
