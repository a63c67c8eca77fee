package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The test is a process of its own, as its standard output is replaced.
func TestConsoleToJournal(t *testing.T) {
	if path := os.Getenv("VMSILO_TEST_STREAM"); path != "" {
		if err := consoleToJournal(path, "bank-guest"); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("echo", "<0>hello") // outlives the exec
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		os.Exit(0)
	}
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestConsoleToJournal$")
	cmd.Env = append(os.Environ(), "VMSILO_TEST_STREAM="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if want := "bank-guest\n\n6\n0\n0\n0\n0\n<0>hello\n"; err != nil || string(got) != want {
		t.Errorf("got %q, want %q, error %v", got, want, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestConsoleToJournalRefuses(t *testing.T) {
	if err := consoleToJournal(fmt.Sprintf("%s/none", t.TempDir()), "x"); err == nil {
		t.Error("no journal passes")
	}
}
