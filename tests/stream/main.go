// Stream measures how fast TCP is.
//
// Synopsis:
//
//	stream listen ADDRESS
//	stream send|receive ADDRESS SECONDS
//
// Description:
//
// listen takes connections, one after the other. send and receive connect to it, move bytes for so long, and print how many MiB a
// second that were: to the moment that the other side has had the last of them.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"vmsilo/internal/command"
)

// block is how much is written at once, in bytes: as iperf3 does.
const block = 128 << 10

func main() { command.Main(run) }

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "listen":
		return listen(args[1])
	case len(args) == 3 && (args[0] == "send" || args[0] == "receive"):
		seconds, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return measure(args[0], args[1], time.Duration(seconds)*time.Second)
	}
	return fmt.Errorf("want listen ADDRESS, send ADDRESS SECONDS or receive ADDRESS SECONDS, got %q", args)
}

func listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		serve(c)
	}
}

// serve does the other half of what the first byte tells.
func serve(c net.Conn) {
	defer c.Close()
	var what [1]byte
	if _, err := io.ReadFull(c, what[:]); err != nil {
		return
	}
	if what[0] == 's' {
		io.Copy(io.Discard, c)
		return
	}
	for data := make([]byte, block); ; {
		if _, err := c.Write(data); err != nil {
			return
		}
	}
}

func measure(what, address string, duration time.Duration) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte(what[:1])); err != nil {
		return err
	}
	start, moved := time.Now(), 0
	for data := make([]byte, block); time.Since(start) < duration; {
		move := c.Read
		if what == "send" {
			move = c.Write
		}
		n, err := move(data)
		if err != nil {
			return err
		}
		moved += n
	}
	if what == "send" {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return err
		}
	}
	fmt.Printf("%.1f\n", float64(moved)/(1<<20)/time.Since(start).Seconds())
	return nil
}
