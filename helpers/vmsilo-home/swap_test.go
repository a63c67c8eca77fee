package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/identity"
)

// Somebody who can write to a folder on the way exchanges it for a link while the program looks. Whatever it makes or
// records is in the real one, or nothing is.
func TestSwap(t *testing.T) {
	dir := asRoot(t)
	way, link, secret := filepath.Join(dir, "way"), filepath.Join(dir, "link"), filepath.Join(dir, "secret")
	for _, folder := range []string{way, secret} {
		if err := errors.Join(os.Mkdir(folder, 0o755), os.Mkdir(filepath.Join(folder, "share"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("secret", link); err != nil {
		t.Fatal(err)
	}
	var real unix.Stat_t
	if err := unix.Stat(filepath.Join(way, "share"), &real); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	defer stop.Store(true)
	swaps := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			if err := unix.Renameat2(unix.AT_FDCWD, way, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
				break
			}
		}
		swaps <- n
	}()
	file := filepath.Join(dir, "record")
	seen, refused := 0, 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		_ = lookAt(filepath.Join(way, "share"), alice)
		_ = makeHome(filepath.Join(way, "demo"), "", alice)
		if err := record(file, filepath.Join(way, "share"), alice); err != nil {
			refused++
			continue
		}
		seen++
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, identity.Of(&real)) {
			t.Fatalf("recorded %q, %v", got, err)
		}
	}
	stop.Store(true)
	if n := <-swaps; n < 100 || seen == 0 || refused == 0 {
		t.Errorf("%d swaps, seen %d times, refused %d times: nothing was tried", n, seen, refused)
	}
	if entries, err := os.ReadDir(secret); err != nil || len(entries) != 1 {
		t.Errorf("made behind the link: %v, %v", entries, err)
	}
}
