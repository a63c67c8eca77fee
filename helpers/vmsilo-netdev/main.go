// Vmsilo-netdev makes and removes the host's side of a VM's network interface.
//
// Synopsis:
//
//	vmsilo-netdev add --tap=NAME --owner=UID --mac=MAC [OPTION…] RECORD
//	vmsilo-netdev remove RECORD
//	vmsilo-netdev refresh FOLDER
//
// Description:
//
// add makes a persistent TAP that only the owner can attach to, gives it the host's addresses and its MTU or makes it a
// port of a bridge, filters what comes out of it, and raises it. With --nat the host forwards what the guest sends, under
// its own addresses. Lists are separated by commas, and what is empty is none.
// What it makes is written to the file RECORD, and remove takes away what the record says, and the record.
// With --netvm and --netvm-tap the bridge is that of a netvm, whose TAP has to be a port of it by then, and with --router the
// TAP is the netvm's: it may send packets from any address, but says of none but its own that it has it. The host hears
// nothing of such a bridge.
// A TAP of the same owner that an earlier run left is replaced; any other interface of that name is left alone.
//
// refresh has the guests with NAT use the host's name servers and interfaces of the moment, and tells again what stands in the way of
// guests. FOLDER is that of the records.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want add, remove or refresh")
	}
	t := &tap{}
	flags := flag.NewFlagSet("vmsilo-netdev", flag.ContinueOnError)
	if args[0] == "add" {
		t.flags(flags)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one record or folder, got %q", flags.Args())
	}
	path := flags.Arg(0)
	switch args[0] {
	case "add":
		if err := t.check(); err != nil {
			return err
		}
		if err := t.add(path); err != nil {
			return errors.Join(fmt.Errorf("creating TAP %q: %w", t.Name, err), remove(path))
		}
		t.warn(os.Stderr)
		return nil
	case "remove":
		return remove(path)
	case "refresh":
		return refresh(path)
	}
	return fmt.Errorf("want add, remove or refresh, got %q", args[0])
}

// flags defines what add is told about the TAP.
func (t *tap) flags(flags *flag.FlagSet) {
	flags.StringVar(&t.Name, "tap", "", "the TAP's name")
	flags.Func("owner", "the uid that may attach to the TAP", func(text string) error {
		_, err := fmt.Sscan(text, &t.Owner)
		return err
	})
	flags.StringVar(&t.MAC, "mac", "", "the guest's MAC address")
	flags.Func("host-address", "the host's addresses on the TAP, as CIDRs", each(netip.ParsePrefix, &t.HostAddresses))
	flags.Func("addresses", "the guest's addresses, as CIDRs; without any it may have others", each(netip.ParsePrefix, &t.Addresses))
	flags.Func("host-ports", "ports of the host that the guest may reach: 53/udp", each(parsePort, &t.Ports))
	flags.BoolVar(&t.NAT, "nat", false, "forward and masquerade")
	flags.StringVar(&t.Bridge, "bridge", "", "the bridge to make the TAP a port of")
	flags.BoolVar(&t.isolated, "isolated", true, "keep it from the bridge's other isolated ports")
	flags.BoolVar(&t.Router, "router", false, "the guest sends others' packets, too")
	flags.StringVar(&t.NetVM, "netvm", "", "the VM that is on the other end")
	flags.StringVar(&t.netvmTAP, "netvm-tap", "", "the TAP of that VM")
	flags.IntVar(&t.mtu, "mtu", 0, "the TAP's MTU in bytes; 0 leaves the kernel's")
	flags.IntVar(&t.queues, "queues", 1, "how many queues the VMM attaches")
}

// each parses a list.
func each[T any](parse func(string) (T, error), to *[]T) func(string) error {
	return func(text string) error {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' }) {
			value, err := parse(word)
			if err != nil {
				return err
			}
			*to = append(*to, value)
		}
		return nil
	}
}

func (t *tap) check() error {
	if t.Name == "" {
		return errors.New("no TAP is named: the VM has no such interface")
	}
	// The kernel takes 15 bytes, and uid 0 for an owner would be anybody with CAP_NET_ADMIN.
	if len(t.Name) > 15 || t.Owner == 0 {
		return fmt.Errorf("want a TAP's name of 15 bytes at most and an owner, got %q and %d", t.Name, t.Owner)
	}
	if mac, err := net.ParseMAC(t.MAC); err != nil || len(mac) != 6 {
		return fmt.Errorf("want the guest's MAC address, got %q", t.MAC)
	}
	if t.private() && t.Bridge == "" || (t.NetVM == "") != (t.netvmTAP == "") {
		return fmt.Errorf("want the bridge of a netvm, and its TAP with its name; got %q, %q and %q", t.Bridge, t.netvmTAP, t.NetVM)
	}
	return nil
}
