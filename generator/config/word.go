package config

import "strings"

// Letters that names are made of.
const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	hex    = digits + "abcdef"
)

// isWord tells whether s has between one and most bytes, the first of which is in first and the others in rest.
// A regular expression would say the same, and take longer to compile than a VM to read.
func isWord(s, first, rest string, most int) bool {
	return s != "" && len(s) <= most && strings.IndexByte(first, s[0]) >= 0 && strings.Trim(s[1:], rest) == ""
}

// isName tells whether s is such a word as interfaces, shares and disks are called.
func isName(s string, most int) bool {
	return isWord(s, lower+upper+digits, lower+upper+digits+"_.-", most)
}
