package frames

import "golang.org/x/sys/unix"

// Fragments returns single fragments of IPv6 packets: what a guest may send, and claims whose first fragment ends before what tells
// the claim, which RFC 7113 warns of. Who puts fragments together on the way, as connection tracking does, sends none of them on alone.
func (l Link) Fragments() (good, bad []Named) {
	c := &collector{}
	// A fragment's header: what follows, its place in units of eight bytes and that there are more, and which packet's it is.
	later := []byte{unix.IPPROTO_ICMPV6, 0, 5, 0, 0, 0, 0, 1}
	c.ip("the rest of a ping", l.MAC, l.Own6, everybody6, unix.IPPROTO_FRAGMENT, append(later, c.mark("the rest of a ping")...))
	good, c.frames = c.frames, nil
	first := func(name, source string, begin []byte) {
		header := []byte{unix.IPPROTO_DSTOPTS, 0, 0, 1, 0, 0, 0, 1}
		c.ip(name, l.MAC, source, everybody6, unix.IPPROTO_FRAGMENT, append(header, append(c.options(name), begin...)...))
	}
	first("router advertisement, cut before its type", LinkLocal(l.MAC), nil)
	first("advertisement for another, cut before whom", l.Own6, about(neighbourAdvert, l.Other6)[:8])
	// Options that end in the next fragment.
	const cut = "cut in its headers"
	header := append([]byte{unix.IPPROTO_DSTOPTS, 0, 0, 1, 0, 0, 0, 1}, c.options(cut)...)
	header[9] += 2
	c.ip(cut, l.MAC, l.Own6, everybody6, unix.IPPROTO_FRAGMENT, header)
	return good, c.frames
}
