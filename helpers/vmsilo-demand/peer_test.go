package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// adm is the number of a group that Debian has, and every derivative of it.
const adm = 4

// The test binary asks for a VM when it is told so.
func TestMain(m *testing.M) {
	if path := os.Getenv("ASK"); path != "" {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_, err = io.WriteString(conn, "work\n")
		}
		if err == nil {
			_, err = io.Copy(os.Stdout, conn)
		}
		if err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// askAs has a process with these rights ask, and returns whom the host takes it for.
func askAs(t *testing.T, h *host, uid, gid uint32, groups ...uint32) peer {
	t.Helper()
	// The test binary's own folder may be closed to others.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "ASK="+h.path, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "OK\n" {
		t.Fatalf("%v: %s", err, out)
	}
	return (<-h.started).by
}

// Who asks is whom the kernel says, with all of their groups; and may start what is theirs, or root's or the group's to
// start.
func TestPeer(t *testing.T) {
	h := newHost(t)
	many := make([]uint32, 3000)
	for n := range many {
		many[n] = uint32(5000 + n)
	}
	for name, test := range map[string]struct {
		uid, gid uint32
		groups   []uint32
		// daemons, numbers and members: whether they may start a VM of user daemon, of uid 1234, and of somebody who is not
		// there while members of group adm may start every VM.
		daemons, numbers, members bool
	}{
		"root":            {0, 0, nil, true, true, true},
		"by name":         {1, 1, nil, true, false, false},
		"by number":       {1234, 1234, nil, false, true, false},
		"nobody":          {65534, 65534, nil, false, false, false},
		"group of root":   {1235, 0, []uint32{0}, false, false, false},
		"primary group":   {1235, adm, nil, false, false, true},
		"another group":   {1235, 1235, []uint32{7, adm}, false, false, true},
		"one of so many":  {1235, 1235, append(slices.Clone(many), adm), false, false, true},
		"none of so many": {1235, 1235, many, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			by := askAs(t, h, test.uid, test.gid, test.groups...)
			if by.uid != int(test.uid) || by.groups[0] != int(test.gid) || len(by.groups) != len(test.groups)+1 {
				t.Errorf("uid %d, %d groups, the first of which is %d", by.uid, len(by.groups), by.groups[0])
			}
			for _, vm := range []struct {
				user, group string
				want        bool
			}{
				{"daemon", "no-such-group", test.daemons},
				{"1234", "no-such-group", test.numbers},
				{"nobody-here", "adm", test.members},
				{"nobody-here", "no-such-group", test.uid == 0},
				{"daemon", "adm", test.daemons || test.members},
			} {
				if may, err := by.mayStart(vm.user, vm.group); may != vm.want || err != nil {
					t.Errorf("VM of %s, group %s: %v, %v", vm.user, vm.group, may, err)
				}
			}
		})
	}
}
