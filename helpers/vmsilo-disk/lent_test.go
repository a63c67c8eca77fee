package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"vmsilo/internal/command"
	"vmsilo/internal/lending"
)

// lend has a lender send these disks, or refuse where there is none, to whoever asks, and returns where.
func lend(t *testing.T, disks ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for conn, err := socket.AcceptUnix(); err == nil; conn, err = socket.AcceptUnix() {
			for _, disk := range disks {
				if file, err := os.Open(disk); err != nil {
					_ = lending.Refuse(conn, command.Errorf("make it", "is not there"))
				} else {
					_ = lending.Lend(conn, file)
					file.Close()
				}
			}
			conn.Close()
		}
	}()
	return path
}

func TestLent(t *testing.T) {
	dir := t.TempDir()
	disk := func(name string) string { return filepath.Join(dir, name) }
	raw := write(t, disk("raw"), make([]byte, 4096))
	qemuImg(t, "create", "-q", "-f", "qcow2", disk("qcow2"), "8M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", disk("raw"), "-F", "raw", disk("backed"), "8M")
	mustCheck(t, "", "--lender="+lend(t, raw, disk("qcow2")), "--lent=disk a,raw,rw=/a", "--lent=disk b,qcow2,ro=/b")
	mustCheck(t, `its disk b "/b" is to be raw, and has the header of qcow2`,
		"--lender="+lend(t, raw, disk("qcow2")), "--lent=disk a,raw,rw=/a", "--lent=disk b,raw,ro=/b")
	mustCheck(t, `its disk a "/a" has a backing file`, "--lender="+lend(t, disk("backed")), "--lent=disk a,qcow2,rw=/a")
	mustCheck(t, `its disk a "/a" is not there`, "--lender="+lend(t, disk("none")), "--lent=disk a,raw,rw=/a")
	mustCheck(t, `its disk b "/b" borrowing a disk`, "--lender="+lend(t, raw), "--lent=disk a,raw,rw=/a", "--lent=disk b,raw,rw=/b")
	mustCheck(t, "asking for disks", "--lender="+disk("nobody"), "--lent=disk a,raw,rw=/a")
	mustCheck(t, "no --lender", "--lent=disk a,raw,rw=/a")
	var hinted *command.Hinted
	err := run([]string{"check", "--lender=" + lend(t, disk("none")), "--lent=disk a,raw,rw=/a"})
	if !errors.As(err, &hinted) || hinted.Hint != "make it" {
		t.Errorf("got %v without its hint", err)
	}
}
