package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vmm is a process with a control socket that ends it when it hears word, or never.
func vmm(t *testing.T, folder, socket, network string, word string) (pid string, heard *[]string) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	l, err := net.Listen(network, filepath.Join(folder, socket))
	if err != nil {
		t.Fatal(err)
	}
	heard = &[]string{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if network == "unix" {
				_, _ = conn.Write([]byte("{\"QMP\": {}}\n"))
			}
			lines := bufio.NewReader(conn)
			for {
				line := make([]byte, 4096)
				n, err := lines.Read(line)
				if err != nil {
					break
				}
				*heard = append(*heard, strings.TrimSpace(string(line[:n])))
				if word != "" && strings.Contains(string(line[:n]), word) {
					_ = cmd.Process.Kill()
					<-ended
				}
				_, _ = conn.Write([]byte("{\"event\": \"RTC_CHANGE\", \"data\": {}}\n{\"return\": {}}\n"))
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		_ = cmd.Process.Kill()
		<-ended
	})
	return strconv.Itoa(cmd.Process.Pid), heard
}

func TestStop(t *testing.T) {
	for _, c := range []struct{ socket, network, word, want string }{
		{"qmp.sock", "unix", "system_powerdown", "system_powerdown"},
		{"qmp.sock", "unix", `"quit"`, "quit"},
		{"crosvm.sock", "unixpacket", `"Powerbtn"`, "Powerbtn"},
		{"crosvm.sock", "unixpacket", `"Exit"`, "Exit"},
	} {
		t.Run(c.want, func(t *testing.T) {
			dir := t.TempDir()
			pid, heard := vmm(t, dir, c.socket, c.network, c.word)
			if err := run([]string{"--pid=" + pid, "--timeout=1s", dir}); err != nil {
				t.Fatal(err)
			}
			if last := (*heard)[len(*heard)-1]; !strings.Contains(last, c.want) {
				t.Errorf("heard %q last", last)
			}
		})
	}
}

func TestStopGivesUp(t *testing.T) {
	dir := t.TempDir()
	pid, _ := vmm(t, dir, "qmp.sock", "unix", "")
	start := time.Now()
	err := run([]string{"--pid=" + pid, "--timeout=400ms", dir})
	if err == nil || time.Since(start) > 20*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

// An event may come before the answer, and is none.
func TestQMPAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`{"event": "RTC_CHANGE"} {"return": {}}`:               "",
		`{"event": "RTC_CHANGE"} {"error": {"desc": "no"}}`:    "no",
		`{"return": {"error": "is a key of the answer here"}}`: "",
		`{"event": "RTC_CHANGE"}`:                              "EOF",
	} {
		err := qmpAnswer(json.NewDecoder(strings.NewReader(text)))
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestInfinity(t *testing.T) {
	dir := t.TempDir()
	pid, _ := vmm(t, dir, "qmp.sock", "unix", "system_powerdown")
	if err := run([]string{"--pid=" + pid, "--timeout=infinity", dir}); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"--pid=1", "--timeout=soon", dir}); err == nil {
		t.Error("soon is taken for a time")
	}
}

func TestNothingToStop(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--pid=", dir}, {"--pid=" + strconv.Itoa(cmd.Process.Pid), dir}} {
		if err := run(args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}
