package main

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// aclName is the extended attribute of acl(5), and aclVersion what it begins with: linux/posix_acl_xattr.h.
const (
	aclName    = "system.posix_acl_access"
	aclVersion = 2
)

// Tags of entries, in whose order they stand, and what they allow: linux/posix_acl.h.
const (
	aclOwner, aclUser, aclGroup, aclMask, aclOther = 0x01, 0x02, 0x04, 0x10, 0x20
	aclReadWrite                                   = 6
	// aclNobody is the id of an entry that is about nobody in particular.
	aclNobody = ^uint32(0)
)

// entry is struct posix_acl_xattr_entry.
type entry struct {
	Tag, Perm uint16
	ID        uint32
}

// entrySize is how many bytes an entry has, and headSize what is before the first.
const entrySize, headSize = 8, 4

// readACL returns a file's access control list. Where it has none, its mode is one.
func readACL(path string) ([]byte, error) {
	acl := make([]byte, unix.PathMax)
	n, err := unix.Lgetxattr(path, aclName, acl)
	if err == nil {
		return acl[:n], nil
	} else if !errors.Is(err, unix.ENODATA) {
		return nil, &os.PathError{Op: "getxattr", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	bits := func(shift int) uint16 { return uint16(st.Mode >> shift & 7) }
	return encode([]entry{{aclOwner, bits(6), aclNobody}, {aclGroup, bits(3), aclNobody}, {aclOther, bits(0), aclNobody}}), nil
}

// writeACL gives a file an access control list. One that says no more than a mode becomes the mode.
func writeACL(path string, acl []byte) error {
	if err := unix.Lsetxattr(path, aclName, acl, 0); err != nil {
		return &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	return nil
}

// withUser returns acl with the right of uid to read and to write.
func withUser(acl []byte, uid int) []byte {
	entries := decode(acl)
	named := func(e entry) bool { return e.Tag == aclUser && e.ID == uint32(uid) }
	mask := func(e entry) bool { return e.Tag == aclMask }
	entries = slices.DeleteFunc(entries, named)
	entries = append(entries, entry{aclUser, aclReadWrite, uint32(uid)})
	if !slices.ContainsFunc(entries, mask) {
		entries = append(entries, entry{aclMask, 0, aclNobody})
	}
	slices.SortFunc(entries, func(a, b entry) int { return int(a.Tag)<<32 + int(a.ID) - int(b.Tag)<<32 - int(b.ID) })
	// It bounds what users and groups are allowed but the owner.
	entries[slices.IndexFunc(entries, mask)].Perm |= aclReadWrite
	return encode(entries)
}

func encode(entries []entry) []byte {
	acl := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		acl = binary.LittleEndian.AppendUint16(acl, e.Tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.Perm)
		acl = binary.LittleEndian.AppendUint32(acl, e.ID)
	}
	return acl
}

func decode(acl []byte) []entry {
	var entries []entry
	for at := headSize; at+entrySize <= len(acl); at += entrySize {
		e := acl[at:]
		entries = append(entries, entry{
			binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:]),
		})
	}
	return entries
}
