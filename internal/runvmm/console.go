package runvmm

import (
	"fmt"
	"net"
	"os"
)

// journalStream is where systemd-journald takes lines, one connection a stream.
const journalStream = "/run/systemd/journal/stdout"

// journalConsole returns a stream of the journal under a name of its own, so that nobody takes what a
// guest says on its console for what the VMM, a helper or systemd says. Of the guest's bytes journald makes lines of
// this name and unit and nothing else: a level in angle brackets, which it would believe of a service, is text here.
//
// The header is that of systemd's connect_logger_as(), in src/core/exec-invoke.c: name, unit (which is journald's to find
// out), level, whether levels are read from the lines, and three ways to forward them.
func journalConsole(path, identifier string) (*os.File, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("opening a stream of the journal: %w", err)
	}
	defer conn.Close()
	if err := conn.CloseRead(); err != nil {
		return nil, fmt.Errorf("opening a stream of the journal: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "%s\n\n%d\n0\n0\n0\n0\n", identifier, levelInfo); err != nil {
		return nil, fmt.Errorf("opening a stream of the journal: %w", err)
	}
	// A duplicate, which is blocking.
	file, err := conn.File()
	if err != nil {
		return nil, fmt.Errorf("opening a stream of the journal: %w", err)
	}
	return file, nil
}

// levelInfo is LOG_INFO of syslog(3).
const levelInfo = 6
