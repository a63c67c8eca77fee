package apps

import (
	"reflect"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"a":                             {"a"},
		"  a   b ":                      {"a", "b"},
		`"/opt/a b/c" ""`:               {"/opt/a b/c", ""},
		`a "b \" \$ \` + "`" + ` \\ c"`: {"a", "b \" $ ` \\ c"},
		`a "b;c > 'd' # *"`:             {"a", "b;c > 'd' # *"},
		"env A=b a":                     {"env", "A=b", "a"},
		"a %f b %F %u %U %i %k %d c":    {"a", "b", "c"},
		"a --open=%u 100%% %%f":         {"a", "100%", "%f"},
		"a -caption %c --title=%c":      {"a", "-caption", "The Name", "--title=The Name"},
		`a "%u" "%%"`:                   {"a", "%"},
		"-a -- --":                      {"-a", "--", "--"},
	} {
		got, err := split(line, "The Name")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %q, %v", line, got, err)
		}
	}
}

func TestExec(t *testing.T) {
	for want, args := range map[string][]string{
		"a /b/c.d --e=f,g:h@i+j_k":               {"a", "/b/c.d", "--e=f,g:h@i+j_k"},
		`a "" " " "é"`:                           {"a", "", " ", "é"},
		`a 100%% "%%f %%u"`:                      {"a", "100%", "%f %u"},
		`a "\$(b)" "\` + "`b\\`" + `" "\\" "\""`: {"a", "$(b)", "`b`", `\`, `"`},
		`a "~" "#b" "b;c" "*" "b&" "'"`:          {"a", "~", "#b", "b;c", "*", "b&", "'"},
	} {
		if got := Exec(args); got != want {
			t.Errorf("%q is %s, want %s", args, got, want)
		}
	}
}
