package await

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// begin waits for a file, and returns where the end of the wait is told.
func begin(path string, interrupts ...Interrupt) <-chan error {
	done := make(chan error, 1)
	go func() { done <- File(path, interrupts...) }()
	return done
}

func ends(t *testing.T, done <-chan error, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}

func waits(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	done := begin(path)
	waits(t, done)
	for _, name := range []string{path + "-other", path} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ends(t, done, nil)
	ends(t, begin(path), nil)
}

// A folder that is taken away, or moved, is not waited in for ever; nor is one that is not there.
func TestFolderIsGone(t *testing.T) {
	for name, end := range map[string]func(folder string) error{
		"removed": os.RemoveAll,
		"moved":   func(folder string) error { return os.Rename(folder, folder+"-away") },
	} {
		folder := filepath.Join(t.TempDir(), "folder")
		ends(t, begin(filepath.Join(folder, "file")), ErrNoFolder)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		done := begin(filepath.Join(folder, "file"))
		waits(t, done)
		if err := os.WriteFile(filepath.Join(folder, "other"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		waits(t, done)
		if err := end(folder); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ends(t, done, ErrNoFolder)
	}
}

// The other end of a connection is closed, while it has said something that nobody has read.
func TestInterrupt(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	left := errors.New("left")
	done := begin(filepath.Join(t.TempDir(), "file"), Interrupt{FD: pair[0], Events: unix.POLLRDHUP, Err: left})
	if _, err := unix.Write(pair[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	waits(t, done)
	unix.Close(pair[1])
	ends(t, done, left)
}
