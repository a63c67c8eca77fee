package cmdline

import "strings"

// ValidName says whether s is a VM's name: [a-z][a-z0-9-]{0,47}, not ending in "-".
func ValidName(s string) bool {
	if len(s) < 1 || len(s) > 48 || !lower(s[0]) || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !lower(s[i]) && !digit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// ValidInterfaceName says whether s can name an interface: [A-Za-z0-9][A-Za-z0-9_.-]{0,14}, not all digits (tools take
// those for an index), and not "lo".
func ValidInterfaceName(s string) bool {
	return word(s, 15) && s != "lo" && strings.Trim(s, "0123456789") != ""
}

// validTag says whether s can be the tag of a share: [A-Za-z0-9][A-Za-z0-9_.-]{0,35}, and not "home".
func validTag(s string) bool {
	return word(s, 36) && s != "home"
}

// word says whether s is of letters, digits, "_", "." and "-", begins with one of the first two, and has 1 to most bytes.
func word(s string, most int) bool {
	if len(s) < 1 || len(s) > most || !alnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }
func alnum(c byte) bool { return lower(c) || digit(c) || 'A' <= c && c <= 'Z' }
