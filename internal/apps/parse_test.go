package apps

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const head = "[Desktop Entry]\nType=Application\nName=A\n"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want App
		icon string
	}{
		{head + "Exec=a", App{Name: "A", Args: []string{"a"}}, ""},
		{"# a comment\n\n  [Desktop Entry]  \r\nType = Application\r\nName =A\t\nExec= a \n", App{Name: "A", Args: []string{"a"}}, ""},
		{head + "Exec=a\nTerminal=true\nIcon=b\nComment=c\\sd", App{Name: "A", Comment: "c d", Args: []string{"a"}, Terminal: true}, "b"},
		// What is not read: translations, actions, other groups and what has no value.
		{
			head + "Exec=a\nName[de]=B\nExec[de]=b\nDBusActivatable=true\nActions=x;\nPath=/\nTryExec=b\nX-Exec=b\nnonsense\n=\n[Desktop Action x]\nName=X\nExec=x\n[Desktop Entry]\nTerminal=true",
			App{Name: "A", Args: []string{"a"}},
			"",
		},
		// Text is one line of what can be seen.
		{
			"[Desktop Entry]\nType=Application\nExec=a\nName=\x1b[31m\\n\\t\u202ered\xff\nComment=" + strings.Repeat("ü", 400),
			App{Name: "?[31m? ?red?", Comment: strings.Repeat("ü", 299) + "…", Args: []string{"a"}},
			"",
		},
		// What would push the rest of it out of sight is short, or seen.
		{
			"[Desktop Entry]\nType=Application\nExec=a\nName=A" + strings.Repeat(" ", 75) + ".\nComment=b\u3164\u2800\u034f\u115f\uffa0 \t\\t c",
			App{Name: "A .", Comment: "b????? c", Args: []string{"a"}},
			"",
		},
	} {
		got, icon, err := parse(c.text)
		if err != nil || icon != c.icon || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q is %+v, %q, %v", c.text, got, icon, err)
		}
	}
}

func TestNotShown(t *testing.T) {
	for _, line := range []string{"NoDisplay=true", "Hidden=true", "Hidden=1", "OnlyShowIn=GNOME;"} {
		if _, _, err := parse(head + "Exec=a\n" + line); !errors.Is(err, errNotShown) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, _, err := parse("[Desktop Entry]\nType=Link\nName=A\nURL=file:///etc/passwd"); !errors.Is(err, errNotShown) {
		t.Error(err)
	}
}

func TestRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "it does not begin with [Desktop Entry]",
		"Exec=a\n" + head:                     "it does not begin with [Desktop Entry]",
		"[Desktop Action x]\nExec=a\n" + head: "it does not begin with [Desktop Entry]",
		"[Desktop Entry]\nName=A\nExec=a":     "it has no Type",
		"[Desktop Entry]\nType=Application\nName= \\n\nExec=a": "",
		"[Desktop Entry]\nType=Application\nExec=a":            "it has no Name",
		head:                                            "it has no Exec",
		head + "DBusActivatable=true":                   "it has no Exec",
		head + "Exec=a\nExec=b":                         "it has Exec twice",
		head + "Exec=a\nIcon=\\x":                       `its Icon has the unknown escape "\\x"`,
		head + "Exec=a\nIcon=b\\":                       "its Icon ends with a backslash",
		head + "Exec=a; b":                              `its Exec has ';' outside of quotes`,
		head + "Exec=a\\nb":                             `its Exec has '\n', which is not printable`,
		head + "Exec=a\x1b[0m":                          `its Exec has '\x1b', which is not printable`,
		head + "Exec=a \u202eb":                         `its Exec has '\u202e', which is not printable`,
		head + "Exec=a\x00b":                            `its Exec has '\x00', which is not printable`,
		head + "Exec=a \xff":                            "its Exec is not UTF-8",
		head + "Exec=%u":                                "its Exec names no program",
		head + `Exec=""`:                                "its Exec names no program",
		head + "Exec=A=b c":                             "its Exec names no program",
		head + "Exec=a %z":                              `its Exec has "%z", which is no field code`,
		head + "Exec=a %":                               "its Exec has a single % at the end of an argument",
		head + `Exec=a "b`:                              "its Exec has quotes that do not end",
		head + `Exec=a "b"c`:                            "its Exec has quotes around a part of an argument",
		head + `Exec=a b"c"`:                            `its Exec has '"' outside of quotes`,
		head + `Exec=a 'b c'`:                           `its Exec has '\'' outside of quotes`,
		head + "Exec=a \"$(b)\"":                        `its Exec has '$' in quotes without a backslash`,
		head + "Exec=a \"`b`\"":                         "its Exec has '`' in quotes without a backslash",
		head + `Exec=a "\\b"`:                           `its Exec has '\\' in quotes without a backslash`,
		head + `Exec=a \\$b`:                            `its Exec has '\\' outside of quotes`,
		head + "Exec=a" + strings.Repeat(" b", 64):      "its Exec is longer than 64 arguments or 4096 bytes",
		head + "Exec=a " + strings.Repeat("b", 4096):    "its Exec is longer than 64 arguments or 4096 bytes",
		head + "Exec=a " + strings.Repeat("%c%c", 2048): "its Exec is longer than 64 arguments or 4096 bytes",
	} {
		_, _, err := parse(text)
		if want == "" {
			// A name of which nothing can be seen is still one.
			if err != nil {
				t.Errorf("%.80q: %v", text, err)
			}
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("%.80q: got %v, want %s", text, err, want)
		}
	}
}
