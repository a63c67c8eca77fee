package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmsilo/internal/accounts"
)

// group is whose members start and stop every VM, as polkit has it, too: 50-vmsilo.rules.
const group = "vmsilo"

// peer is who is at the other end of a connection: whoever that process was when it connected.
type peer struct {
	uid int
	// groups are the primary group and all others.
	groups []int
}

// peerOf returns who is at the other end, as the kernel knows it: unix(7), SO_PEERCRED and SO_PEERGROUPS.
func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	if controlled := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		var more []uint32
		more, err = peerGroups(fd)
		p = peer{int(cred.Uid), []int{int(cred.Gid)}}
		for _, gid := range more {
			p.groups = append(p.groups, int(gid))
		}
	}); controlled != nil {
		return peer{}, controlled
	}
	return p, os.NewSyscallError("getsockopt", err)
}

// peerGroups returns the peer's supplementary groups. The kernel says how many there are when there is no room for them.
func peerGroups(fd uintptr) ([]uint32, error) {
	for room := 64; ; {
		groups := make([]uint32, room)
		size := uint32(room * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno != unix.ERANGE || int(size/4) <= room:
			return nil, errno
		}
		room = int(size / 4)
	}
}

// mayStart reports whether a peer may start a VM that is user's, which is a name or a uid. A user or group that is not
// there is nobody's.
func (p peer) mayStart(user, group string) (bool, error) {
	if p.uid == 0 {
		return true, nil
	}
	uid, err := strconv.Atoi(user)
	if err != nil {
		uid, _, err = accounts.User(user)
	}
	if err == nil && p.uid == uid {
		return true, nil
	} else if err != nil && !errors.Is(err, accounts.ErrUnknown) {
		return false, fmt.Errorf("whose VM it is: %w", err)
	}
	gid, err := accounts.Group(group)
	if errors.Is(err, accounts.ErrUnknown) {
		return false, nil
	}
	return err == nil && slices.Contains(p.groups, gid), err
}
