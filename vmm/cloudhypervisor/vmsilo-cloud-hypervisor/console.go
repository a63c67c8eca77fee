package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"vmsilo/internal/console"
)

const (
	// answerTime is how long cloud-hypervisor may take to answer.
	answerTime = 10 * time.Second
	// maxAnswer is how much of its answer is read, in bytes: the configuration of a VM with all devices has some KiB.
	maxAnswer = 1 << 20
)

// offer carries clients to the guest's console until that ends. A VM does without when there is none.
func offer(clients net.Listener, api string) {
	path, err := terminal(api)
	if err != nil {
		clients.Close()
		fmt.Fprintln(os.Stderr, "vmsilo-cloud-hypervisor: error: looking for the console:", err)
		return
	}
	port, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		clients.Close()
		fmt.Fprintln(os.Stderr, "vmsilo-cloud-hypervisor: error: opening the console:", err)
		return
	}
	defer port.Close()
	console.Carry(clients, port)
}

// terminals is where pseudo terminals are: pts(4).
const terminals = "/dev/pts/"

// terminal asks cloud-hypervisor for the path of the pseudo terminal that is the guest's console: vm.info of its docs/api.md.
func terminal(api string) (string, error) {
	conn, err := net.DialTimeout("unix", api, answerTime)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprint(conn, "GET /api/v1/vm.info HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return "", err
	}
	answer := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	status, err := answer.ReadString('\n')
	if err != nil {
		return "", err
	}
	if words := strings.Fields(status); len(words) < 2 || words[1] != "200" {
		return "", fmt.Errorf("it answers %q", strings.TrimSpace(status))
	}
	// The header ends with an empty line.
	for line := status; strings.TrimSpace(line) != ""; {
		if line, err = answer.ReadString('\n'); err != nil {
			return "", err
		}
	}
	var info struct {
		Config struct{ Console struct{ File string } }
	}
	if err := json.NewDecoder(answer).Decode(&info); err != nil {
		return "", fmt.Errorf("reading its answer: %w", err)
	}
	// cloud-hypervisor may be the guest's by now.
	path := info.Config.Console.File
	if !strings.HasPrefix(path, terminals) || strings.Contains(path[len(terminals):], "/") {
		return "", fmt.Errorf("%q is no pseudo terminal", path)
	}
	return path, nil
}
