package socket_test

import (
	"strings"
	"testing"

	"vmsilo/vmm/cloudhypervisor/socket"
	"vmsilo/vmm/control/controltest"
)

var cloudHypervisor = controltest.Socket{Network: "unix", Name: socket.Name, Closes: true}

// cloud-hypervisor says in its first line whether it does what it is asked for, and then why not.
func TestCloudHypervisor(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 204 \r\nServer: x\r\n\r\n":                                       "",
		"HTTP/1.1 200 \r\n\r\n":                                                    "",
		"HTTP/1.1 404 \r\n\r\n":                                                    `it answers "404"`,
		"HTTP/1.1 500 \r\nContent-Length: 16\r\n\r\n[\"failed\",\"why\"]":          "asking cloud-hypervisor for vm.resize: why",
		"HTTP/1.1 500 \r\nContent-Length: 900000000000\r\n\r\n[\"failed\",\"no\"]": `it answers "500"`,
		"HTTP/1.1 500 \r\nContent-Length: -1\r\n\r\n[\"failed\",\"no\"]":           `it answers "500"`,
		"\r\n":                     `it answers ""`,
		"":                         "EOF",
		strings.Repeat("x", 1<<20): "EOF",
	} {
		var heard string
		v := cloudHypervisor.VMM(t, func(said string) string {
			heard = said
			return answer
		})
		controltest.Wants(t, answer, v.Balloon(3<<20), want)
		if !strings.HasPrefix(heard, "PUT /api/v1/vm.resize HTTP/1.1\r\n") || !strings.HasSuffix(heard, "\r\n\r\n{\"desired_balloon\":3145728}") {
			t.Errorf("heard %q", heard)
		}
	}
}
