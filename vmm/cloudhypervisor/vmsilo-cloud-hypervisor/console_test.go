package main

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// answering is a socket where each request for HTTP gets the same answer.
func answering(t *testing.T, answer string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return path
}

func TestTerminal(t *testing.T) {
	const ok = "HTTP/1.1 200 \r\nServer: Cloud Hypervisor API\r\nContent-Length: 9\r\n\r\n"
	const console = `{"config":{"console":{"file":"/dev/pts/7"}}}`
	for answer, want := range map[string]string{
		ok + `{"config":{"serial":{"file":null},"console":{"file":"/dev/pts/7","mode":"Pty"}},"state":"Running"}`: "/dev/pts/7",
		"HTTP/1.1 500 \r\n\r\n{}":                                               "",
		ok + "{{":                                                               "",
		"HTTP/1.1 200 \r\n":                                                     "",
		ok + `{"config":{"console":{"file":7}}}`:                                "",
		ok + `{"config":{"console":{}}}`:                                        "",
		ok + `{"config":{"console":{"file":"/run/fifo"}}}`:                      "",
		ok + `{"config":{"console":{"file":"/dev/pts/../zero"}}}`:               "",
		"HTTP/1.1 200 " + strings.Repeat("x", maxAnswer) + "\r\n\r\n" + console: "",
		ok + strings.Repeat(" ", maxAnswer) + console:                           "",
		ok + `{"config":{"console":"/dev/pts/7"}} x`:                            "",
	} {
		got, err := terminal(answering(t, answer))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.200q: %q, %v", answer, got, err)
		}
	}
	if _, err := terminal("/nonexistent"); err == nil {
		t.Error("no socket passes")
	}
}

// Without a console nobody waits for one.
func TestNoConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	clients, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	offer(clients, answering(t, "HTTP/1.1 200 \r\n\r\n{}"))
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("somebody listens")
	}
}
