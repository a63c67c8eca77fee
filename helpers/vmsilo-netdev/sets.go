package main

import (
	"errors"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// sets are the sets of the table.
type sets struct {
	// taps and nat are TAPs; links are those and the bridges that vmsilo made; all of them by name.
	taps, nat, links *nftables.Set
	// bridged are the MAC addresses of guests whose TAP is a port of a bridge: what they send to the host comes from there.
	bridged *nftables.Set
	// bridged4 and bridged6 are the addresses that such guests were given: what goes there does not go to a TAP.
	bridged4, bridged6 *nftables.Set
	// unnumbered are the interfaces by which the host sends to guests on bridges of which no addresses are known.
	unnumbered *nftables.Set
	// ports are what guests may reach: MAC address, protocol and port.
	ports *nftables.Set
	// same are bridges, twice, and through each with the MAC addresses that are the host's there: its own and those of its ports.
	same, through *nftables.Set
	// opened4 and opened6 are other interfaces for which vmsilo has switched forwarding on; kept6 are those that had it
	// where it could be switched on for all alone.
	opened4, opened6, kept6 *nftables.Set
}

// What the keys of the sets are.
var (
	ifnames  = nftables.TypeIFName
	pairs    = nftables.MustConcatSetType(nftables.TypeIFName, nftables.TypeIFName)
	hops     = nftables.MustConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr)
	services = nftables.MustConcatSetType(nftables.TypeEtherAddr, nftables.TypeInetProto, nftables.TypeInetService)
)

// addSets adds the sets with what is in them.
func (f *firewall) addSets() error {
	var errs []error
	add := func(to **nftables.Set, name string, of nftables.SetDatatype, keys [][]byte) {
		set, err := addSet(f.c, f.table, name, of, keys...)
		*to, errs = set, append(errs, err)
	}
	s, v4, v6 := &f.sets, f.forwarding.V4, f.forwarding.V6
	taps := f.ofTAPs(func(t *tap) [][]byte { return [][]byte{ifname(t.Name)} })
	made := f.ofBridges(func(b *netlink.LinkAttrs) []byte { return only(f.ours(b.Name), ifname(b.Name)) })
	add(&s.taps, "taps", ifnames, taps)
	add(&s.nat, "nat", ifnames, f.ofTAPs(func(t *tap) [][]byte { return [][]byte{only(t.NAT, ifname(t.Name))} }))
	add(&s.links, "links", ifnames, append(taps, made...))
	add(&s.bridged, "bridged", nftables.TypeEtherAddr, f.ofTAPs(func(t *tap) [][]byte { return [][]byte{only(t.Bridge != "", t.mac())} }))
	add(&s.bridged4, "bridged4", nftables.TypeIPAddr, f.ofTAPs(func(t *tap) [][]byte { return t.bridgedAt(4) }))
	add(&s.bridged6, "bridged6", nftables.TypeIP6Addr, f.ofTAPs(func(t *tap) [][]byte { return t.bridgedAt(16) }))
	add(&s.unnumbered, "unnumbered", ifnames, f.waysToUnnumbered())
	add(&s.ports, "ports", services, f.ofTAPs(portsOf))
	add(&s.same, "same", pairs, f.ofBridges(func(b *netlink.LinkAttrs) []byte { return slices.Concat(ifname(b.Name), ifname(b.Name)) }))
	add(&s.through, "through", hops, f.hops())
	add(&s.opened4, "opened4", ifnames, all(v4.Links))
	add(&s.opened6, "opened6", ifnames, all(v6.Links))
	add(&s.kept6, "kept6", ifnames, all(v6.Kept))
	return errors.Join(errs...)
}

// ofTAPs returns keys of all TAPs, and ofBridges of all bridges of the host, but for those that are nil.
func (f *firewall) ofTAPs(keys func(*tap) [][]byte) (all [][]byte) {
	for _, t := range f.taps {
		all = append(all, keys(t)...)
	}
	return slices.DeleteFunc(all, func(key []byte) bool { return key == nil })
}

func (f *firewall) ofBridges(key func(*netlink.LinkAttrs) []byte) (all [][]byte) {
	for _, link := range f.links {
		if link.Type() == "bridge" {
			all = append(all, key(link.Attrs()))
		}
	}
	return slices.DeleteFunc(all, func(key []byte) bool { return key == nil })
}

// hops returns what a frame to the host has on each bridge: the bridge's name, with a MAC address of its own or of a port.
func (f *firewall) hops() (keys [][]byte) {
	bridges := map[int]string{}
	for _, link := range f.links {
		if link.Type() == "bridge" {
			bridges[link.Attrs().Index] = link.Attrs().Name
		}
	}
	for _, link := range f.links {
		a := link.Attrs()
		for _, index := range []int{a.Index, a.MasterIndex} {
			// One without ports has none.
			if name, ok := bridges[index]; ok && a.HardwareAddr != nil {
				keys = append(keys, slices.Concat(ifname(name), padded(a.HardwareAddr)))
			}
		}
	}
	return keys
}

// waysToUnnumbered returns the interfaces by which the host sends to guests on bridges of which no addresses are known: the bridges,
// and all that is on top of them, as VLANs are.
func (f *firewall) waysToUnnumbered() (keys [][]byte) {
	ways := map[int]bool{}
	for more := true; more; {
		more = false
		for _, link := range f.links {
			a := link.Attrs()
			isBridge := func(t *tap) bool { return t.unnumbered() && t.Bridge == a.Name }
			if !ways[a.Index] && (ways[a.ParentIndex] || slices.ContainsFunc(f.taps, isBridge)) {
				ways[a.Index], more = true, true
				keys = append(keys, ifname(a.Name))
			}
		}
	}
	return keys
}

func only(wanted bool, key []byte) []byte {
	if !wanted {
		return nil
	}
	return key
}

// bridgedAt returns the guest's addresses of a length, in bytes, on a bridge.
func (t *tap) bridgedAt(length int) (keys [][]byte) {
	for _, a := range t.Addresses {
		if key := a.Addr().AsSlice(); t.Bridge != "" && len(key) == length {
			keys = append(keys, key)
		}
	}
	return keys
}

// unnumbered tells whether the guest is on a bridge where nobody knows what its addresses are.
func (t *tap) unnumbered() bool { return t.Bridge != "" && !t.private() && t.Addresses == nil }

func all(links []string) (keys [][]byte) {
	for _, link := range links {
		keys = append(keys, ifname(link))
	}
	return keys
}

// portsOf returns the keys of what a guest may reach.
func portsOf(t *tap) (keys [][]byte) {
	for _, p := range t.Ports {
		keys = append(keys, slices.Concat(padded(t.mac()), padded([]byte{p.protocol()}), padded(port(p.Number))))
	}
	return keys
}

// padded is one part of a key, of which each fills whole registers of four bytes.
func padded(part []byte) []byte {
	return append(slices.Clone(part), make([]byte, (4-len(part)%4)%4)...)
}
