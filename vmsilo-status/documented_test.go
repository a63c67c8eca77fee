package main

import (
	"os"
	"strings"
	"testing"
)

// The man page has every method, property and signal with its types, and every error.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/org.vmsilo1.7.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"**" + busName + ".Error.NoSuchVM**", "**" + busName + ".Error.AlreadySubscribed**", "**" + busName + ".Error.NotSubscribed**",
		"**" + unknownObject + "**", "**" + readOnly + "**", "**UnknownMethod**", "**UnknownProperty**", "**InvalidArgs**",
	}
	of := newTables()
	for _, i := range append(of.manager, of.vm...) {
		for _, p := range i.properties {
			want = append(want, "**"+p.name+" "+p.signature+"**"+map[string]string{"const": " (constant)", "false": " (not signalled)"}[p.emits])
		}
		if i.name == managerInterface {
			for name := range i.methods {
				want = append(want, "**"+name+"(")
			}
		}
		for _, s := range i.says.Signals {
			want = append(want, "`"+s.Name+"`")
		}
	}
	if len(want) < 40 {
		t.Errorf("only %q", want)
	}
	for _, word := range want {
		if !strings.Contains(string(text), word) {
			t.Errorf("the man page has no %q", word)
		}
	}
}
