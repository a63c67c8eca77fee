// Package printable shows text of others on a terminal.
package printable

import "unicode"

// Rune returns a blank for a tab, a question mark for what a terminal would act on or not show, and any other character
// as it is. It is for strings.Map.
func Rune(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case !unicode.IsPrint(r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), r == brailleBlank:
		return '?'
	}
	return r
}

// brailleBlank is a symbol, U+2800, of which nothing is seen. Unicode's own list of such has letters and marks.
const brailleBlank = '\u2800'
