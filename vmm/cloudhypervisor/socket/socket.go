// Package socket speaks with cloud-hypervisor by its control socket, in HTTP: docs/api.md of cloud-hypervisor.
package socket

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"

	"vmsilo/internal/dial"
)

// Name is what it is called in the folder of the VMM.
const Name = "cloud-hypervisor.sock"

// Socket is its path. Its methods are those of control.VMM.
type Socket string

// PowerButton is of control.VMM.
func (c Socket) PowerButton() error { return c.put("vm.power-button", nil) }

// Quit is of control.VMM.
func (c Socket) Quit() error { return c.put("vmm.shutdown", nil) }

// Pause is of control.VMM.
func (c Socket) Pause() error { return c.put("vm.pause", nil) }

// Resume is of control.VMM.
func (c Socket) Resume() error { return c.put("vm.resume", nil) }

// Balloon is of control.VMM.
func (c Socket) Balloon(size int64) error {
	return c.put("vm.resize", map[string]any{"desired_balloon": size})
}

// Grow is of control.VMM. No VM of it has disks in its file.
func (c Socket) Grow(string, int64) error {
	return errors.New("a VM of cloud-hypervisor has no disks in its file")
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

func (c Socket) put(endpoint string, value any) error {
	var body []byte
	if value != nil {
		var err error
		if body, err = json.Marshal(value); err != nil {
			return err
		}
	}
	conn, err := dial.Request("unix", string(c))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", endpoint, len(body), body); err != nil {
		return err
	}
	// What is longer than this is no answer.
	from := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	status, reason, err := readAnswer(from)
	switch {
	case err != nil:
		return fmt.Errorf("asking cloud-hypervisor for %s: %w", endpoint, err)
	case reason != "":
		return fmt.Errorf("asking cloud-hypervisor for %s: %s", endpoint, reason)
	case !strings.HasPrefix(status, "2"):
		return fmt.Errorf("asking cloud-hypervisor for %s: it answers %q", endpoint, status)
	}
	return nil
}

// readAnswer reads an answer: the status behind "HTTP/1.1", and of a failure the last of its reasons, each of which is the cause
// of the one before.
func readAnswer(from *bufio.Reader) (status, reason string, err error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return "", "", err
	}
	if _, status, _ = strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(status, "2") {
		return status, "", nil
	}
	header, err := textproto.NewReader(from).ReadMIMEHeader()
	if err != nil {
		// It has said that it does not do it.
		return status, "", nil
	}
	size, _ := strconv.Atoi(header.Get("Content-Length"))
	body := make([]byte, max(0, min(size, maxAnswer)))
	var reasons []string
	if _, err := io.ReadFull(from, body); err == nil && json.Unmarshal(body, &reasons) == nil && len(reasons) > 0 {
		reason = reasons[len(reasons)-1]
	}
	return status, reason, nil
}
