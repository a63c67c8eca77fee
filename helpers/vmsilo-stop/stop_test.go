package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// vm is a process with a control socket and a guest, and what they are asked for.
type vm struct {
	pid    string
	folder string
	kill   func()
	ended  chan struct{}

	// refuse is why its VMM does not do what it is asked for, or "".
	refuse string
	// resumed tells that it was told to go on.
	resumed atomic.Bool

	mu    sync.Mutex
	heard []string
	when  []time.Time
}

// newVM starts a VM whose VMM has the named control socket, and ends when it is asked for word.
func newVM(t *testing.T, socket, word string) *vm {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &vm{pid: strconv.Itoa(cmd.Process.Pid), folder: t.TempDir(), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(v.ended)
	}()
	v.kill = func() {
		_ = cmd.Process.Kill()
		<-v.ended
	}
	t.Cleanup(v.kill)
	network := "unix"
	if socket == "crosvm.sock" {
		network = "unixpacket"
	}
	v.listen(t, network, socket, func(conn net.Conn) {
		if socket == "qmp.sock" {
			_, _ = io.WriteString(conn, "{\"QMP\": {}}\n")
		}
		for packet := make([]byte, 4096); ; {
			n, err := conn.Read(packet)
			if err != nil {
				return
			}
			said := strings.TrimSpace(string(packet[:n]))
			if resumes(said) {
				v.resumed.Store(true)
			} else if !strings.Contains(said, "qmp_capabilities") {
				v.hear(said)
			}
			if word != "" && strings.Contains(said, word) {
				v.kill()
			}
			if socket == "cloud-hypervisor.sock" {
				_, _ = io.WriteString(conn, "HTTP/1.1 204 \r\nServer: Cloud Hypervisor API\r\n\r\n")
				continue
			}
			answer := "{\"return\": {}}"
			if desc, _ := json.Marshal(v.refuse); v.refuse != "" && !strings.Contains(said, "qmp_capabilities") {
				answer = fmt.Sprintf("{\"error\": {\"desc\": %s}}", desc)
			}
			_, _ = io.WriteString(conn, "{\"event\": \"RTC_CHANGE\", \"data\": {}}\n"+answer+"\n")
		}
	})
	return v
}

// listen has serve talk to whoever connects.
func (v *vm) listen(t *testing.T, network, socket string, serve func(net.Conn)) {
	t.Helper()
	l, err := net.Listen(network, filepath.Join(v.folder, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
}

// guest gives the VM a guest that answers a request to it with these bytes, and a device that answers before.
func (v *vm) guest(t *testing.T, device, answer string, after func()) {
	t.Helper()
	v.listen(t, "unix", "host.sock", func(conn net.Conn) {
		from := bufio.NewReader(conn)
		line, _ := from.ReadString('\n')
		_, _ = io.WriteString(conn, device)
		request := make([]byte, len("vmsilo1\n")+4)
		if strings.HasPrefix(device, "OK") {
			_, _ = io.ReadFull(from, request)
			v.hear(line + string(request))
		}
		_, _ = io.WriteString(conn, answer)
		after()
	})
}

// resumes tells whether a request of any VMM's has a guest that is paused go on.
func resumes(said string) bool {
	return strings.Contains(said, `"cont"`) || said == `"ResumeVcpus"` || strings.Contains(said, "vm.resume")
}

func (v *vm) hear(said string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard, v.when = append(v.heard, said), append(v.when, time.Now())
}

// stop runs the command on the VM, and returns how long it took.
func (v *vm) stop(timeout string) (time.Duration, error) {
	start := time.Now()
	err := run([]string{"--pid=" + v.pid, "--timeout=" + timeout, "--vsock=" + filepath.Join(v.folder, "host.sock"), v.folder})
	return time.Since(start), err
}

const powerOff = "CONNECT 5002\nvmsilo1\n\x05\x00\x00\x00"

func TestGuest(t *testing.T) {
	v := newVM(t, "qmp.sock", "")
	v.guest(t, "OK 1073741824\n", "vmsilo1\n\x86\x00\x00\x00", v.kill)
	took, err := v.stop("1m")
	if err != nil || took > 20*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.heard, []string{powerOff}) {
		t.Errorf("heard %q", v.heard)
	}
}

// The guest that powers off need not say so.
func TestGuestSaysNothing(t *testing.T) {
	v := newVM(t, "qmp.sock", "")
	v.guest(t, "OK 1073741824\n", "", func() {
		v.kill()
		select {}
	})
	if took, err := v.stop("1m"); err != nil || took > 20*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestVMM(t *testing.T) {
	for _, c := range []struct{ socket, word string }{
		{"qmp.sock", "system_powerdown"},
		{"qmp.sock", `"quit"`},
		{"crosvm.sock", `"Powerbtn"`},
		{"crosvm.sock", `"Exit"`},
		{"cloud-hypervisor.sock", "PUT /api/v1/vm.power-button HTTP/1.1\r\n"},
		{"cloud-hypervisor.sock", "PUT /api/v1/vmm.shutdown HTTP/1.1\r\n"},
	} {
		t.Run(c.word, func(t *testing.T) {
			v := newVM(t, c.socket, c.word)
			if _, err := v.stop("1s"); err != nil {
				t.Fatal(err)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			if last := v.heard[len(v.heard)-1]; !strings.Contains(last, c.word) {
				t.Errorf("heard %q", v.heard)
			}
			for try := 0; !v.resumed.Load(); try++ {
				if try == 500 {
					t.Fatal("a guest that is paused stays so")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// What a guest does in the place of an answer costs its half of the time at most, and nothing where it is no answer.
func TestBadGuests(t *testing.T) {
	silent := func() { select {} }
	for name, c := range map[string]struct {
		device, answer string
		after          func()
		least, most    time.Duration
	}{
		"no agent":            {"", "", func() {}, 0, 1900 * time.Millisecond},
		"device says no":      {"no\n", "", silent, 0, 1900 * time.Millisecond},
		"nonsense":            {"OK 1\n", "SSH-2.0-OpenSSH\r\n", silent, 0, 1900 * time.Millisecond},
		"long frame":          {"OK 1\n", "vmsilo1\n\x81\xff\xff\xff", silent, 0, 1900 * time.Millisecond},
		"another frame":       {"OK 1\n", "vmsilo1\n\x81\x00\x00\x01x", silent, 0, 1900 * time.Millisecond},
		"cannot":              {"OK 1\n", "vmsilo1\n\x85\x00\x00\x03\x7dno", silent, 0, 1900 * time.Millisecond},
		"accepts, and closes": {"OK 1\n", "vmsilo1\n", func() {}, 0, 1900 * time.Millisecond},
		"silent device":       {"", "", silent, 2 * time.Second, 3400 * time.Millisecond},
		"silent":              {"OK 1\n", "", silent, 2 * time.Second, 3400 * time.Millisecond},
		"half a frame":        {"OK 1\n", "vmsilo1\n\x86", silent, 2 * time.Second, 3400 * time.Millisecond},
		"says that it will":   {"OK 1\n", "vmsilo1\n\x86\x00\x00\x00", silent, 2 * time.Second, 3400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVM(t, "qmp.sock", "system_powerdown")
			v.guest(t, c.device, c.answer, c.after)
			took, err := v.stop("4s")
			if err != nil || took < c.least || took > c.most {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

// What a guest or a VMM says does not begin a line of its own among the host's, nor act on a terminal.
func TestForgedLines(t *testing.T) {
	v := newVM(t, "qmp.sock", "quit")
	v.refuse = "no\nforged: by the VMM\r\x1b[2J"
	v.guest(t, "OK 1\n", "vmsilo1\n\x85\x00\x00\x1d\x7dno\nforged: by the guest\xff\x1b[2J", func() {})
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdout
	os.Stdout = log
	_, err = v.stop("2s")
	os.Stdout = before
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "asking the guest to power off: ") || !strings.HasPrefix(lines[1], "pressing the power button: ") ||
		!strings.Contains(lines[0], "by the guest") || !strings.Contains(lines[1], "by the VMM") || strings.ContainsAny(string(text), "\r\x1b") {
		t.Errorf("%q", text)
	}
}

func TestDeaf(t *testing.T) {
	v := newVM(t, "qmp.sock", "")
	v.guest(t, "OK 1\n", "vmsilo1\n\x86\x00\x00\x00", func() { select {} })
	start := time.Now()
	took, err := v.stop("1600ms")
	if err == nil || !strings.Contains(err.Error(), "had to be killed") {
		t.Errorf("got %v", err)
	}
	select {
	case <-v.ended:
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
	if took < 1400*time.Millisecond || took > 5*time.Second {
		t.Errorf("killed after %v", took)
	}
	want := []struct {
		said string
		at   time.Duration
	}{{powerOff, 0}, {"system_powerdown", 800 * time.Millisecond}, {"quit", 1200 * time.Millisecond}}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.heard) != len(want) {
		t.Fatalf("heard %q", v.heard)
	}
	for i, w := range want {
		after := v.when[i].Sub(start)
		if !strings.Contains(v.heard[i], w.said) || after < w.at {
			t.Errorf("heard %q after %v", v.heard[i], after)
		}
	}
}

// A VMM that hangs takes connections and says nothing. One that has no control socket cannot be asked.
func TestHung(t *testing.T) {
	v := newVM(t, "other.sock", "")
	if took, err := v.stop("1m"); err == nil || took > 20*time.Second {
		t.Errorf("without a socket: %v after %v", err, took)
	}
	v = newVM(t, "other.sock", "")
	v.listen(t, "unix", "qmp.sock", func(net.Conn) { select {} })
	if took, err := v.stop("400ms"); err == nil || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestInfinity(t *testing.T) {
	v := newVM(t, "qmp.sock", "system_powerdown")
	if _, err := v.stop("infinity"); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"--pid=1", "--timeout=soon", v.folder}); err == nil {
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
