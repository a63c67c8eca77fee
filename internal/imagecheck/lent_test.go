package imagecheck

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"vmsilo/internal/command"
)

// borrower hands out these disks, or refuses where there is none.
func borrower(disks ...string) func() (*os.File, error) {
	return func() (*os.File, error) {
		if len(disks) == 0 {
			return nil, errors.New("borrowing a disk: EOF")
		}
		file, err := os.Open(disks[0])
		disks = disks[1:]
		if err != nil {
			return nil, command.Errorf("make it", "is not there")
		}
		return file, nil
	}
}

func TestLent(t *testing.T) {
	dir := t.TempDir()
	disk := func(name string) string { return filepath.Join(dir, name) }
	raw := write(t, disk("raw"), make([]byte, 4096))
	qemuImg(t, "create", "-q", "-f", "qcow2", disk("qcow2"), "8M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", disk("raw"), "-F", "raw", disk("backed"), "8M")
	for _, c := range []struct {
		want  string
		lent  []string
		disks []string
	}{
		{"", []string{raw, disk("qcow2")}, []string{"--lent=disk a,raw,rw=/a", "--lent=disk b,qcow2,ro=/b"}},
		{`its disk b "/b" is to be raw, and has the header of qcow2`, []string{raw, disk("qcow2")}, []string{"--lent=disk a,raw,rw=/a", "--lent=disk b,raw,ro=/b"}},
		{`its disk a "/a" has a backing file`, []string{disk("backed")}, []string{"--lent=disk a,qcow2,rw=/a"}},
		{`its disk a "/a" is not there`, []string{disk("none")}, []string{"--lent=disk a,raw,rw=/a"}},
		{`its disk b "/b" borrowing a disk`, []string{raw}, []string{"--lent=disk a,raw,rw=/a", "--lent=disk b,raw,rw=/b"}},
	} {
		said(t, check(borrower(c.lent...), c.disks...), c.want, c.disks)
	}
	var hinted *command.Hinted
	err := check(borrower(disk("none")), "--lent=disk a,raw,rw=/a")
	if !errors.As(err, &hinted) || hinted.Hint != "make it" {
		t.Errorf("got %v without its hint", err)
	}
}

// What is kept is the very file that was looked at, and what was refused is closed.
func TestKept(t *testing.T) {
	raw := write(t, filepath.Join(t.TempDir(), "raw"), make([]byte, 4096))
	images := Images{
		{what: "disk a", path: "/a", format: "raw", lent: true},
		{what: "disk b", path: "/b", format: "qcow2", lent: true},
	}
	var lent, kept []*os.File
	borrow := borrower(raw, raw)
	err := images.Check(
		func() (*os.File, error) {
			file, err := borrow()
			lent = append(lent, file)
			return file, err
		},
		func(file *os.File) error {
			kept = append(kept, file)
			return nil
		})
	if err == nil || len(lent) != 2 || len(kept) != 1 || kept[0] != lent[0] {
		t.Fatalf("%v, lent %v, kept %v", err, lent, kept)
	}
	if err := lent[0].Close(); err != nil {
		t.Errorf("what is kept: %v", err)
	}
	if err := lent[1].Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("what is refused: %v", err)
	}
}
