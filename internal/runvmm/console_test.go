package runvmm

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestJournalConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	console, err := journalConsole(path, "bank-guest")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("echo", "<0>hello")
	cmd.Stdout = console
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	console.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if want := "bank-guest\n\n6\n0\n0\n0\n0\n<0>hello\n"; err != nil || string(got) != want {
		t.Errorf("got %q, want %q, error %v", got, want, err)
	}
}

func TestJournalConsoleRefuses(t *testing.T) {
	if _, err := journalConsole(fmt.Sprintf("%s/none", t.TempDir()), "x"); err == nil {
		t.Error("no journal passes")
	}
}
