package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What vmsilo does has a man page, and is completed by each shell.
func TestDocumented(t *testing.T) {
	for _, s := range subcommands() {
		first, _, _ := strings.Cut(s.words, " ")
		manual := "vmsilo-" + first + ".1"
		for file, words := range map[string][]string{
			"../docs/" + manual + ".md":  append(options(s), "vmsilo "+s.words, "# SYNOPSIS", "# DESCRIPTION", "# EXIT STATUS", "# EXAMPLES"),
			"../docs/meson.build":        {"'" + manual + "'"},
			"../docs/vmsilo.1.md":        {"**vmsilo-" + first + "**(1)"},
			"../completions/vmsilo.bash": append(options(s), strings.Fields(s.words)...),
			"../completions/_vmsilo":     append(options(s), strings.Fields(s.words)...),
			"../completions/vmsilo.fish": strings.Fields(s.words),
			"../README.md":               {"vmsilo " + s.words},
			"main.go":                    {"//\tvmsilo " + s.words},
		} {
			holds(t, file, words)
		}
		for _, option := range options(s) {
			holds(t, "../completions/vmsilo.fish", []string{"-l " + strings.Trim(option, "-=")})
		}
	}
}

// options returns the long options that the usage of a subcommand names.
func options(s subcommand) []string {
	return regexp.MustCompile(`--[a-z]+=?`).FindAllString(s.operands+s.options, -1)
}

func holds(t *testing.T, file string, words []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	for _, word := range words {
		if !strings.Contains(string(text), word) {
			t.Errorf("%s has no %q", file, word)
		}
	}
}
