package units

import (
	"os/exec"
	"strconv"
	"strings"

	"vmsilo/internal/printable"
)

// maxColumns is how much of a line of the log is shown, in characters.
const maxColumns = 300

// Log returns the last lines that a unit logged in the run in which it failed, or, where it said nothing, what systemd
// says about that. A guest's console is among them: what a terminal would act on is a question mark.
func Log(f *Failure, lines int) []string {
	for _, field := range []string{"_SYSTEMD_INVOCATION_ID", "INVOCATION_ID"} {
		if found := journal(field+"="+f.invocation, lines); found != nil {
			return found
		}
	}
	return nil
}

func journal(match string, lines int) []string {
	out, err := exec.Command("journalctl", "--no-pager", "--quiet", "--boot", "--output=cat", "--all",
		"--lines="+strconv.Itoa(lines), match).Output()
	text := strings.TrimRight(string(out), "\n")
	if err != nil || text == "" {
		return nil
	}
	// An entry may have several lines.
	all := strings.Split(text, "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = shown(line)
	}
	return all
}

func shown(line string) string {
	runes := []rune(strings.Map(printable.Rune, line))
	if len(runes) > maxColumns {
		runes = append(runes[:maxColumns], '…')
	}
	return string(runes)
}
