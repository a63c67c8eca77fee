package apps

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzParse looks for a desktop file of a guest's that has anything run that its own Exec does not say, or that puts a byte into
// a menu which is not text: what is made of it is read by another reader, who does as GLib does.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("../../vmsilo-menus/testdata/root/usr/share/applications/*.desktop")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		text, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(head + `Exec=a "b \\" \\$ \\` + "`" + ` \\\\ c" %% %c %u` + "\nComment=\\n\\r\\t\\s\\\\\nIcon=/a.png")
	f.Add(head + "Exec=true\\nExec=b\n[Desktop Action a]\nExec=c")
	f.Fuzz(func(t *testing.T, text string) {
		app, _, err := parse(text)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("the message %q is not for a terminal", err)
			}
			return
		}
		if app.Name == "" || len(app.Args) == 0 || len(app.Args) > maxArgs {
			t.Errorf("%+v", app)
		}
		file := File("Type", "Application", "Name", app.Name, "Comment", app.Comment, "Exec", Exec(app.Args), "Terminal", fmt.Sprint(app.Terminal))
		if strings.ContainsFunc(string(file), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("it has more than text: %q", file)
		}
		if again, _, err := parse(string(file)); err != nil || !reflect.DeepEqual(again, app) {
			t.Errorf("%q is %+v and then %+v, %v", file, app, again, err)
		}
		read, keys, err := glib(string(file))
		if err != nil || !slices.Equal(read, app.Args) {
			t.Errorf("GLib would run %q, %v and not %q", read, err, app.Args)
		}
		if len(keys) > 5 {
			t.Errorf("there are the keys %q", keys)
		}
	})
}

// FuzzExec does the same for arguments of any kind.
func FuzzExec(f *testing.F) {
	for _, seed := range [][3]string{{"a", "b", "c"}, {"", " ", "%"}, {"%f", "%%", "%c"}, {"$(b)", "`b`", `\`}, {`"`, "'", "#"}, {"a\nExec=b", "\t", "é"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		args := []string{"vmsilo", a, b, c}
		if strings.ContainsRune(a+b+c, 0) || !utf8.ValidString(a+b+c) {
			return // split has let no such thing pass
		}
		read, _, err := glib(string(File("Exec", Exec(args))))
		if err != nil || !slices.Equal(read, args) {
			t.Errorf("GLib would run %q, %v and not %q", read, err, args)
		}
	})
}

// glib returns what GLib's GDesktopAppInfo would run for a file, without files to open, and the file's keys: its functions
// g_key_file_get_string(), expand_application_parameters() and g_shell_parse_argv(), in this order.
func glib(file string) (args, keys []string, err error) {
	var line string
	for _, l := range strings.Split(strings.TrimSuffix(file, "\n"), "\n")[1:] {
		key, value, _ := strings.Cut(l, "=")
		keys = append(keys, key)
		if key == "Exec" {
			line = value
		}
	}
	line = strings.NewReplacer(`\s`, " ", `\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`).Replace(line)
	line = strings.NewReplacer("%%", "%", "%f", "", "%u", "", "%F", "", "%U", "", "%c", "the name", "%i", "", "%k", "the file").Replace(line)
	args, err = shell(line)
	return args, keys, err
}

// shell takes a line apart as a shell does, but expands nothing.
func shell(line string) (args []string, err error) {
	var word strings.Builder
	var quote rune
	begun, escaped, comment := false, false, false
	for _, r := range line {
		switch {
		case comment:
			comment = r != '\n'
		case escaped && quote == '"' && !strings.ContainsRune("$`\"\\\n", r):
			word.WriteString(`\` + string(r))
			escaped = false
		case escaped:
			if r != '\n' {
				word.WriteRune(r)
			}
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, begun = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case r == '#' && !begun:
			comment = true
		case r == ' ' || r == '\t' || r == '\n':
			if begun {
				args = append(args, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("it ends in quotes")
	}
	if begun {
		args = append(args, word.String())
	}
	return args, nil
}
