package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// cloudHypervisorPut controls cloud-hypervisor: HTTP, of which a request without a body is all that is needed.
// docs/api.md of cloud-hypervisor.
func cloudHypervisorPut(path, endpoint string) error {
	conn, err := net.DialTimeout("unix", path, answerTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "PUT /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", endpoint); err != nil {
		return err
	}
	// "HTTP/1.1 204", and more where it has failed. What is longer than the buffer is no answer.
	line, err := bufio.NewReader(conn).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("asking cloud-hypervisor for %s: %w", endpoint, err)
	}
	if status := strings.Fields(string(line)); len(status) < 2 || !strings.HasPrefix(status[1], "2") {
		return fmt.Errorf("asking cloud-hypervisor for %s: it answers %q", endpoint, strings.TrimSpace(string(line)))
	}
	return nil
}
