package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/dial"
)

// session is a user's, in which compositors come and go.
type session struct {
	// folder is XDG_RUNTIME_DIR.
	folder string
	// environment returns a variable of the user's service manager, or "".
	environment func(folder, name string) string
}

var (
	// errNone says that there is no compositor, and errDeaf that there is a socket where none listens, which a moment
	// later one may do.
	errNone = errors.New("no compositor")
	errDeaf = errors.New("nobody listens")
)

// connect connects to the session's compositor, and returns where that is.
func (s *session) connect() (*net.UnixConn, string, error) {
	none := errNone
	for _, path := range s.sockets() {
		conn, err := dial.Unix(path, patience)
		switch {
		case err == nil:
			return conn, path, nil
		case errors.Is(err, unix.ECONNREFUSED):
			none = errDeaf
		case !errors.Is(err, fs.ErrNotExist):
			return nil, "", fmt.Errorf("connecting to the compositor at %q: %w", path, err)
		}
	}
	return nil, "", none
}

// sockets returns where a compositor may listen: where the session says, and else wherever one does by its name.
func (s *session) sockets() []string {
	var all []string
	entries, _ := os.ReadDir(s.folder)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "wayland-") && e.Type() == fs.ModeSocket {
			all = append(all, filepath.Join(s.folder, e.Name()))
		}
	}
	// wayland-2 is before wayland-10.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	if told := s.environment(s.folder, "WAYLAND_DISPLAY"); told != "" {
		if !filepath.IsAbs(told) {
			told = filepath.Join(s.folder, told)
		}
		all = append([]string{told}, all...)
	}
	return all
}

const (
	// firstPause and lastPause are how long to wait for something to happen before the next try, which doubles each time.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Minute
	// maxDeaf is the longest such pause where nobody listens: who has made a socket listens at once, or never.
	maxDeaf = 2 * time.Second
)

// each finds the session's compositor and calls serve with a connection to it, which it closes; when that has returned, nil
// where the compositor has ended, it finds the next. It says how that goes, and returns when it cannot look any more.
func (s *session) each(say func(text string), serve func(conn *net.UnixConn, path string) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		// Before the look, so that nothing is missed in between.
		w, err := newWatch(s.folder)
		if err != nil {
			return err
		}
		wait, began := pause, time.Now()
		conn, path, err := s.connect()
		if err == nil {
			err = serve(conn, path)
			conn.Close()
		}
		switch {
		case errors.Is(err, errNone) || errors.Is(err, errDeaf) && pause > maxDeaf:
			say(fmt.Sprintf("no compositor in %q: whoever connects waits for one", s.folder))
			wait = forever
		case err != nil && !errors.Is(err, errDeaf):
			say(command.Text(err))
		}
		happened, err := w.wait(wait)
		if err != nil {
			return err
		}
		if happened || time.Since(began) > lastPause {
			pause = firstPause
		}
	}
}
