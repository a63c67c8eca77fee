package cmdline

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
	if len(s) < 1 || len(s) > 15 || s == "lo" || !alnum(s[0]) {
		return false
	}
	digits := true
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-' {
			return false
		}
		digits = digits && digit(s[i])
	}
	return !digits
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }
func alnum(c byte) bool { return lower(c) || digit(c) || 'A' <= c && c <= 'Z' }
