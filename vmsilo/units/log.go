package units

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"unicode"
)

// maxColumns is how much of a line of the log is shown, in characters.
const maxColumns = 300

// Log returns the last lines that a unit has logged since it last began, or, where it said nothing, what systemd says
// about it. A guest's console is among them: what a terminal would act on is a question mark.
func Log(f *Failure, lines int) []string {
	own := journal(f, lines, "_SYSTEMD_UNIT="+f.Unit)
	if own != nil {
		return own
	}
	return journal(f, lines, "--unit="+f.Unit)
}

func journal(f *Failure, lines int, match string) []string {
	out, err := exec.Command("journalctl", "--no-pager", "--quiet", "--boot", "--output=cat", "--all",
		fmt.Sprintf("--since=@%d", f.Began.Unix()), "--lines="+strconv.Itoa(lines), match).Output()
	text := strings.TrimRight(string(out), "\n")
	if err != nil || text == "" {
		return nil
	}
	// An entry may have several lines.
	all := strings.Split(text, "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = printable(line)
	}
	return all
}

func printable(line string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, line))
	if len(runes) > maxColumns {
		runes = append(runes[:maxColumns], '…')
	}
	return string(runes)
}
