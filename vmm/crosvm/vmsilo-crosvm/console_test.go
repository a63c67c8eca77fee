package main

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guest runs a guest whose console is a script's input and output, and returns where clients connect, and its end.
func guest(t *testing.T, script string) (path string, ended <-chan error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "console")
	clients, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- crosvm(clients).Run(exec.Command("sh", "-c", "exec <&3 >&3; "+script)) }()
	return path, end
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask says a line and returns the answer.
func ask(t *testing.T, conn net.Conn, line string) string {
	t.Helper()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// One client comes after the other, and the console stays.
func TestClients(t *testing.T) {
	path, ended := guest(t, `while read -r line; do [ "$line" != end ] || exit 32; echo "<$line>"; done`)
	for _, line := range []string{"first", "second"} {
		conn := dial(t, path)
		if answer := ask(t, conn, line); answer != "<"+line+">" {
			t.Errorf("%q", answer)
		}
		conn.Close()
	}
	if _, err := io.WriteString(dial(t, path), "end\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || err.Error() != "exit status 32" {
		t.Errorf("%v", err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the console is there without its guest")
	}
}

// What the guest says to nobody is lost, and does not hold it up; nor does a client that takes nothing for long.
func TestFlood(t *testing.T) {
	path, ended := guest(t, "head -c 10000000 /dev/zero; read line; head -c 10000000 /dev/zero")
	conn := dial(t, path)
	if _, err := io.WriteString(conn, "go on\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the guest is held up")
	}
}
