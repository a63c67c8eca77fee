package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

// maxElements is how many elements of a set one message holds: an attribute of netlink has 64 KiB.
const maxElements = 500

// room is what the kernel may keep of a batch and of its answers, in bytes. It is one message, and each of what is in it is
// answered before the first answer is read; what a socket has room for otherwise are the rules of a few interfaces.
const room = 16 << 20

// newBatch begins a change of the packet filter, all of which is made at once by commit, or nothing.
func newBatch() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(
		func(c *netlink.Conn) error { return c.SetReadBuffer(room) },
		func(c *netlink.Conn) error { return c.SetWriteBuffer(room) },
	))
	return c, explain(err)
}

func commit(c *nftables.Conn) error { return explain(c.Flush()) }

// explain tells what a kernel that lacks a part of nftables means by its errors: nf_tables_api.c of the kernel.
func explain(err error) error {
	if lacksNftables(err) {
		return command.Errorf("the kernel needs nftables with its inet and netdev families, egress (Linux 5.16), ct, fib, masq, nat and reject: modprobe nf_tables",
			"filtering its packets: %w", err)
	} else if err != nil {
		return fmt.Errorf("filtering its packets: %w", err)
	}
	return nil
}

func lacksNftables(err error) bool {
	return slices.ContainsFunc([]error{unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ENOENT}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// replaceTable adds to a batch that a table is there and empty, whatever an earlier run left in it.
func replaceTable(c *nftables.Conn, family nftables.TableFamily, name string) *nftables.Table {
	table := &nftables.Table{Family: family, Name: name}
	deleteTable(c, table)
	return c.AddTable(table)
}

// deleteTable adds to a batch that a table is not there, whether or not it was.
func deleteTable(c *nftables.Conn, table *nftables.Table) {
	c.AddTable(table)
	c.DelTable(table)
}

// baseChain adds a chain that the kernel's hook calls.
func baseChain(c *nftables.Conn, chain nftables.Chain, priority nftables.ChainPriority, policy nftables.ChainPolicy) *nftables.Chain {
	chain.Priority, chain.Policy = &priority, &policy
	return c.AddChain(&chain)
}

var order = map[string]binaryutil.ByteOrder{nftables.TypeIFName.Name: binaryutil.NativeEndian}

// addSet adds a set of names, addresses or what else, each in bytes.
func addSet(c *nftables.Conn, table *nftables.Table, name string, keyType nftables.SetDatatype, keys ...[]byte) (*nftables.Set, error) {
	elements := make([]nftables.SetElement, len(keys))
	for n, key := range keys {
		elements[n].Key = key
	}
	// The order of bytes is for nft(8), which would not print names otherwise.
	return addElements(c, &nftables.Set{Table: table, Name: name, KeyType: keyType, KeyByteOrder: order[keyType.Name]}, elements)
}

func addElements(c *nftables.Conn, set *nftables.Set, elements []nftables.SetElement) (*nftables.Set, error) {
	if err := c.AddSet(set, nil); err != nil {
		return nil, err
	}
	for some := range slices.Chunk(elements, maxElements) {
		if err := c.SetAddElements(set, some); err != nil {
			return nil, err
		}
	}
	return set, nil
}
