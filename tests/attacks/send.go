package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/tests/frames"
)

// times is how often each is sent.
const times = 2

// item is something that a guest sends.
type item struct {
	name string
	good bool
	send func() error
}

// read reads what to send. What the guest may send comes last: when that has arrived, all else of its link would have.
func read(path string) (items []item, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var good []item
	for line := range strings.Lines(string(text)) {
		some, err := parse(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		for _, i := range some {
			if i.good {
				good = append(good, i)
			} else {
				items = append(items, i)
			}
		}
	}
	return append(items, good...), nil
}

func parse(words []string) ([]item, error) {
	switch {
	case len(words) == 10 && words[0] == "frames":
		return framesOf(words[1], words[2], words[3:])
	case len(words) == 8 && words[0] == "udp":
		return udp(words[1] == "good", words[2], words[3], words[4:])
	case len(words) == 5 && words[0] == "tcp":
		address := net.JoinHostPort(words[3], words[4])
		name := fmt.Sprintf("%s: %s, TCP", words[2], address)
		return []item{{name, words[1] == "good", func() error { return connect(address, name) }}}, nil
	}
	return nil, errors.New("no such line")
}

// framesOf returns the frames of a link. They need the guest's own MAC address, which has none where they are listed.
func framesOf(place, device string, words []string) ([]item, error) {
	other, err := net.ParseMAC(words[2])
	if err != nil {
		return nil, err
	}
	link := frames.Link{
		MAC: make(net.HardwareAddr, 6), Own4: words[0], Own6: words[1],
		OtherMAC: other, Other4: words[3], Other6: words[4], Host4: words[5], Host6: words[6],
	}
	if own, err := net.InterfaceByName(device); err == nil {
		link.MAC = own.HardwareAddr
	}
	var items []item
	for _, f := range link.Bad(place + ": ") {
		items = append(items, item{f.Name, false, func() error { return raw(device, f.Bytes) }})
	}
	for _, f := range link.Good(place + ": ") {
		items = append(items, item{f.Name, true, func() error { return raw(device, f.Bytes) }})
	}
	return items, nil
}

// udp returns a packet to the next hop: its MAC address, then the packet's source, destination and port.
func udp(good bool, place, device string, words []string) ([]item, error) {
	hop, err := net.ParseMAC(words[0])
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(words[3], 10, 16)
	if err != nil {
		return nil, err
	}
	source, destination := words[1], words[2]
	name := fmt.Sprintf("%s: %s through %s to %s, UDP", place, net.JoinHostPort(destination, words[3]), device, words[0])
	return []item{{name, good, func() error {
		own, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		payload := frames.UDP(1000, uint16(port), frames.Begin+name+frames.End)
		return raw(device, frames.Frame(own.HardwareAddr, hop, frames.KindOf(source), frames.Packet(source, destination, unix.IPPROTO_UDP, payload)))
	}}}, nil
}

// raw sends a frame as it is: packet(7).
func raw(device string, frame []byte) error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Index})
}

// patience is how long a connection may take that nobody answers.
const patience = 2 * time.Second

// connect says the name to whoever listens; that nobody does is what is tried.
func connect(address, name string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil
	}
	defer c.Close()
	fmt.Fprint(c, frames.Begin, name, frames.End)
	return nil
}

// send sends everything, connections at once and what the guest may send last.
func send(items []item) error {
	var waiting []chan error
	for range times {
		for _, i := range items {
			if !strings.HasSuffix(i.name, "TCP") {
				if err := i.send(); err != nil {
					return fmt.Errorf("sending %q: %w", i.name, err)
				}
				continue
			}
			done := make(chan error)
			waiting = append(waiting, done)
			go func() { done <- i.send() }()
		}
	}
	for _, done := range waiting {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}
