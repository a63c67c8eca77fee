package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/lending"
)

// serveIn serves disks until the test ends, and returns where.
func serveIn(t *testing.T, disks ...disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- serve(socket, disks, time.Minute) }()
	t.Cleanup(func() {
		socket.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return path
}

// borrow returns what the lender has in the place of each disk.
func borrow(t *testing.T, path string, disks int) (files []*os.File, errs []error) {
	t.Helper()
	lender, err := lending.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lender.Close()
	for range disks {
		file, err := lender.Next()
		if file != nil {
			t.Cleanup(func() { file.Close() })
		}
		files, errs = append(files, file), append(errs, err)
	}
	return files, errs
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLends(t *testing.T) {
	folder := t.TempDir()
	a, b := write(t, filepath.Join(folder, "a"), "aaa"), write(t, filepath.Join(folder, "b"), "bbb")
	path := serveIn(t, disk{a, true}, disk{b, false}, disk{filepath.Join(folder, "none"), false}, disk{a, false})
	// Each time anew.
	for range 2 {
		files, errs := borrow(t, path, 4)
		if errs[0] != nil || errs[1] != nil || errs[2] == nil || errs[3] != nil {
			t.Fatal(errs)
		}
		for n, want := range []string{"aaa", "bbb", "", "aaa"} {
			got := make([]byte, len(want))
			if files[n] == nil {
				continue
			}
			if _, err := files[n].ReadAt(got, 0); err != nil || string(got) != want {
				t.Errorf("disk %d holds %q, want %q, error %v", n, got, want, err)
			}
			_, err := files[n].WriteAt(got, 0)
			if (err == nil) != (n == 0) {
				t.Errorf("writing disk %d: %v", n, err)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "file"), "x")
	in := func(name string) string { return filepath.Join(folder, name) }
	for _, err := range []error{
		os.Symlink(file, in("link")), os.Symlink(folder, in("folder")), unix.Mkfifo(in("fifo"), 0o600),
		unix.Mknod(in("device"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		in("none"):               "is not there",
		in("file/below"):         "is not there",
		in("link"):               "is a symbolic link, or goes through one; write the path that it leads to",
		in("folder/file"):        "is a symbolic link, or goes through one; write the path that it leads to",
		in("fifo"):               "is not a regular file",
		folder:                   "is not a regular file",
		in("device"):             "is a block device; write its path in /dev",
		"/dev/null":              "is not a block device",
		"/dev/no-such-device":    "is not there",
		"/dev/fd/0":              "is not a block device",
		"/proc/self/root" + file: "is a symbolic link, or goes through one; write the path that it leads to",
	} {
		_, errs := borrow(t, serveIn(t, disk{path, false}), 1)
		text := errs[0].Error()
		var hinted *command.Hinted
		if errors.As(errs[0], &hinted) && hinted.Hint != "" {
			text += "; " + hinted.Hint
		}
		if text != want {
			t.Errorf("%s %s, want %q", path, text, want)
		}
	}
}

func TestLeaves(t *testing.T) {
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := serve(socket, nil, time.Millisecond); err != nil {
		t.Error(err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"path"}, {"wo=/path"}, {"--size=3"}} {
		if err := run(args); err == nil || strings.Contains(err.Error(), "socket") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// A block device that can be written to is one VM's at a time, and nobody else's.
func TestLendsToOne(t *testing.T) {
	image := write(t, filepath.Join(t.TempDir(), "image"), strings.Repeat("x", 1<<20))
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	defer exec.Command("losetup", "--detach", device).Run()
	path := serveIn(t, disk{device, true}, disk{device, true}, disk{device, false})
	files, errs := borrow(t, path, 3)
	if errs[0] != nil || errs[2] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), "is in use") {
		t.Fatal(errs)
	}
	files[0].Close()
	if _, errs := borrow(t, path, 3); errs[0] != nil {
		t.Errorf("after its end: %v", errs[0])
	}
}
