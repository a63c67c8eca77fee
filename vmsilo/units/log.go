package units

import (
	"context"
	"encoding/hex"
	"os/exec"
	"strconv"
	"strings"
	"time"

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

// maxWarnings is how many lines of warnings of a unit are read.
const maxWarnings = 1000

// Warnings returns what that of the units has warned of which was started last, as far as the caller may read the journal.
func (m *Manager) Warnings(ctx context.Context, units ...string) []string {
	var last string
	var begun time.Time
	for _, unit := range units {
		if at := m.timestamp(ctx, unit, "InactiveExitTimestamp"); at.After(begun) {
			last, begun = unit, at
		}
	}
	id, err := get[[]byte](ctx, m, last, "Unit", "InvocationID")
	if err != nil || len(id) == 0 {
		return nil
	}
	return journal("_SYSTEMD_INVOCATION_ID="+hex.EncodeToString(id), maxWarnings, "PRIORITY=4")
}

func journal(match string, lines int, more ...string) []string {
	args := append([]string{
		"--no-pager", "--quiet", "--boot", "--output=cat", "--all", "--lines=" + strconv.Itoa(lines), match,
	}, more...)
	out, err := exec.Command("journalctl", args...).Output()
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
