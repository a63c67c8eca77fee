package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/tests/frames"
)

// behindTypes are the types that sockets behind the packet filter look at: of one for all types the filter is behind, see
// __netif_receive_skb_core() of net/core/dev.c. A VLAN's tag has been taken off.
var behindTypes = []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP, unix.ETH_P_LLDP, unix.ETH_P_PPP_DISC, unix.ETH_P_802_2}

// watch prints what arrives, until it is killed.
func watch(places []string) error {
	failed := make(chan error)
	for _, text := range places {
		way, rest, _ := strings.Cut(text, ":")
		place, at, found := strings.Cut(rest, "=")
		if !found {
			return fmt.Errorf("%q is no place to watch", text)
		}
		see := func(data []byte) { seen(place, data) }
		var err error
		switch way {
		case "into":
			err = packets(at, unix.ETH_P_ALL, true, see, failed)
		case "behind":
			for _, kind := range behindTypes {
				if err = packets(at, kind, false, see, failed); err != nil {
					break
				}
			}
		case "port":
			err = port(at, see, failed)
		default:
			err = fmt.Errorf("%q is no way to watch", way)
		}
		if err != nil {
			return fmt.Errorf("watching %q: %w", text, err)
		}
	}
	fmt.Println("watching")
	return <-failed
}

// seen prints the name that data holds, if that is to arrive at the place.
func seen(place string, data []byte) {
	_, data, found := bytes.Cut(data, []byte(frames.Begin+place+": "))
	name, _, ends := bytes.Cut(data, []byte(frames.End))
	if found && ends {
		fmt.Printf("%s: %s\n", place, name)
	}
}

// packets looks at what an interface sends, or at what it gets.
func packets(device string, kind uint16, outgoing bool, see func([]byte), failed chan<- error) error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	swapped := kind<<8 | kind>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(swapped))
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swapped, Ifindex: link.Index}); err != nil {
		return err
	}
	go func() {
		for buffer := make([]byte, 65536); ; {
			n, from, err := unix.Recvfrom(fd, buffer, 0)
			if err == unix.EINTR || err == unix.ENETDOWN {
				continue
			} else if err != nil {
				failed <- err
				return
			}
			if ll, ok := from.(*unix.SockaddrLinklayer); ok && (ll.Pkttype == unix.PACKET_OUTGOING) == outgoing {
				see(buffer[:n])
			}
		}
	}()
	return nil
}

// port listens on all addresses of the host.
func port(number string, see func([]byte), failed chan<- error) error {
	c, err := net.ListenPacket("udp", ":"+number)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":"+number)
	if err != nil {
		return err
	}
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, _, err := c.ReadFrom(buffer)
			if err != nil {
				failed <- err
				return
			}
			see(buffer[:n])
		}
	}()
	go func() {
		for {
			connection, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			go func() {
				defer connection.Close()
				connection.SetDeadline(time.Now().Add(5 * time.Second))
				text, _ := io.ReadAll(io.LimitReader(connection, 4096))
				see(text)
			}()
		}
	}()
	return nil
}
