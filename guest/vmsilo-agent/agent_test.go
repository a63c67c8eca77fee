package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmsilo/internal/protocol"
)

// hierarchy returns where the unified hierarchy is.
func hierarchy(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1]
		}
	}
	t.Skip("SKIP: there is no unified hierarchy")
	return ""
}

// newGroup returns a control group of this test's own.
func newGroup(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp(hierarchy(t), "vmsilo-test-")
	if errors.Is(err, os.ErrPermission) {
		t.Skip("SKIP: this test makes control groups: run it as root")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// What was killed takes a moment to end.
		err := os.Remove(folder)
		for try := 0; err != nil && try < 100; try++ {
			time.Sleep(10 * time.Millisecond)
			err = os.Remove(folder)
		}
		if err != nil {
			t.Errorf("a control group is left: %v", err)
		}
	})
	return folder
}

// serve starts an agent, and returns how to connect to it.
func serve(t *testing.T) (dial func() net.Conn) {
	t.Helper()
	return serveImpatient(t, patience)
}

// serveImpatient is serve for an agent that waits no longer than that for the host.
func serveImpatient(t *testing.T, patience time.Duration) (dial func() net.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 1000)); err != nil {
		t.Fatal(err)
	}
	listener, err := listenerOf(os.NewFile(uintptr(fd), "listener"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	a := &agent{patience: patience, groups: &groups{folder: newGroup(t)}, env: []string{"HOME=" + home, "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "PS1=$ "}}
	done := make(chan error, 1)
	go func() { done <- a.serve(listener, 200*time.Millisecond) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
		a.ends.Wait()
		a.groups.close()
	})
	return func() net.Conn {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

// host is the host's end.
type host struct {
	net.Conn
	from *protocol.Reader
	to   *protocol.Writer
}

func begin(t *testing.T, conn net.Conn, p protocol.Program) host {
	t.Helper()
	to, err := protocol.NewWriter(conn)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Write(protocol.Run, payload); err != nil {
		t.Fatal(err)
	}
	return host{conn, protocol.NewGuestReader(conn), to}
}

// end reads until the end, closes, and returns all output and how it ended.
func (h host) end(t *testing.T) (stdout, stderr, ended string) {
	t.Helper()
	defer h.Close()
	return h.endOpen(t)
}

// endOpen is end without closing.
func (h host) endOpen(t *testing.T) (stdout, stderr, ended string) {
	t.Helper()
	for {
		kind, payload, err := h.from.Next()
		if err != nil {
			t.Fatalf("%v after %q, %q", err, stdout, stderr)
		}
		switch kind {
		case protocol.Stdout:
			stdout += string(payload)
		case protocol.Stderr:
			stderr += string(payload)
		case protocol.Window:
		case protocol.Ended:
			status, err := protocol.ParseStatus(payload)
			if err != nil {
				t.Fatal(err)
			}
			return stdout, stderr, fmt.Sprint(status.Shell())
		case protocol.Failed:
			f := protocol.ParseFailure(payload)
			return stdout, stderr, fmt.Sprintf("%d %s", f.Code, f.Text)
		}
	}
}

// until reads output until it holds want.
func (h host) until(t *testing.T, want string) {
	t.Helper()
	var got []byte
	for !bytes.Contains(got, []byte(want)) {
		kind, payload, err := h.from.Next()
		if kind == protocol.Window {
			continue
		}
		if err != nil || kind != protocol.Stdout {
			t.Fatalf("frame %#02x %q, %v, after %q", byte(kind), payload, err, got)
		}
		got = append(got, payload...)
	}
}

func shell(script string) protocol.Program {
	return protocol.Program{Args: []string{"sh", "-c", script}}
}

func TestPrograms(t *testing.T) {
	dial := serve(t)
	if err := os.WriteFile("/tmp/vmsilo-test-plain", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/tmp/vmsilo-test-plain")
	for _, c := range []struct {
		program               protocol.Program
		stdout, stderr, ended string
	}{
		{shell("echo out; echo err >&2; exit 3"), "out\n", "err\n", "3"},
		{shell("kill -KILL $$"), "", "", "137"},
		{shell("kill -TERM $$"), "", "", "143"},
		{shell("pwd; echo $A$B"), "/tmp\n12\n", "", "0"},
		{shell("cat; echo end"), "end\n", "", "0"},
		{shell("sleep 100 & echo back"), "back\n", "", "0"},
		{protocol.Program{Args: []string{"printf", "%s|", "", "a b", "c\n"}}, "|a b|c\n|", "", "0"},
		{protocol.Program{Args: []string{"no-such-program"}}, "", "", "127 no-such-program: command not found"},
		{protocol.Program{Args: []string{"./nothing"}, Directory: "/tmp"}, "", "", "127 /tmp/nothing: no such file or directory"},
		{protocol.Program{Args: []string{"/tmp"}}, "", "", "126 /tmp: is a directory"},
		{protocol.Program{Args: []string{"/tmp/vmsilo-test-plain"}}, "", "", "126 /tmp/vmsilo-test-plain: permission denied"},
		{protocol.Program{Args: []string{"true"}, Directory: "/nowhere"}, "", "", `125 cannot start in "/nowhere": no such file or directory`},
		{protocol.Program{Args: []string{"true"}, Directory: "/etc/passwd"}, "", "", `125 cannot start in "/etc/passwd": not a directory`},
	} {
		c.program.Env = []string{"A=1", "B=2"}
		if c.program.Directory == "" {
			c.program.Directory = "/tmp"
		}
		h := begin(t, dial(), c.program)
		if err := h.to.Write(protocol.Stdin, nil); err != nil {
			t.Fatal(err)
		}
		if stdout, stderr, ended := h.end(t); stdout != c.stdout || stderr != c.stderr || ended != c.ended {
			t.Errorf("%q: %q, %q, %s", c.program.Args, stdout, stderr, ended)
		}
	}
}

// What the user may not execute is not executed by the agent's own capabilities, nor is it started in.
func TestOnlyWhatTheUserMay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: this test becomes another user: run it as root")
	}
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	public, private := filepath.Join(folder, "public"), filepath.Join(folder, "private")
	for name, mode := range map[string]os.FileMode{public: 0o755, private: 0o700} {
		if err := os.Mkdir(name, mode); err != nil {
			t.Fatal(err)
		}
		for file, mode := range map[string]os.FileMode{"all": 0o755, "root": 0o700} {
			if err := os.WriteFile(filepath.Join(name, file), nil, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	errs := map[string]error{}
	asUserWithOverride(t, func() {
		for _, file := range []string{"public/all", "public/root", "private/all", "private/root"} {
			errs[file] = executable(filepath.Join(folder, file))
		}
		errs["public"], errs["private"] = checkDirectory(public), checkDirectory(private)
		// It has the capability.
		_, errs["."] = os.Stat(filepath.Join(private, "all"))
	})
	for what, err := range errs {
		want := what == "." || what == "public" || what == "public/all"
		if (err == nil) != want || err != nil && !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// asUserWithOverride runs do on a thread of its own as nobody, who has CAP_DAC_OVERRIDE.
func asUserWithOverride(t *testing.T, do func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Not unlocked: the thread ends with this.
		runtime.LockOSThread()
		const nobody = 65534
		err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
		// Those of package unix are for all threads.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, nobody, nobody, nobody); errno != 0 {
			err = errors.Join(err, errno)
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			err = errors.Join(err, errno)
		}
		const override = 1 << unix.CAP_DAC_OVERRIDE
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: override, Permitted: override}}
		err = errors.Join(err, unix.Capset(&header, &data[0]))
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Without a program, the login shell of the user runs in the user's home.
func TestLoginShell(t *testing.T) {
	h := begin(t, serve(t)(), protocol.Program{})
	for _, input := range []string{"echo $0; test \"$PWD\" = \"$HOME\" && echo home\n", ""} {
		if err := h.to.Write(protocol.Stdin, []byte(input)); err != nil {
			t.Fatal(err)
		}
	}
	if stdout, _, ended := h.end(t); stdout != "-sh\nhome\n" || ended != "0" {
		t.Errorf("%q, %s", stdout, ended)
	}
}

func TestTerminal(t *testing.T) {
	dial := serve(t)
	p := shell("test -t 0 && test -t 1 && test -t 2 && stty size; trap 'stty size' WINCH; echo ready; until read x; do :; done; echo got $x; cat; exit 5")
	p.Terminal = &protocol.Size{Rows: 11, Columns: 22}
	h := begin(t, dial(), p)
	h.until(t, "11 22\r\nready\r\n")
	if err := h.to.Write(protocol.Resize, protocol.Size{Rows: 33, Columns: 44}.Marshal()); err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{"word\n", ""} {
		if err := h.to.Write(protocol.Stdin, []byte(input)); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _, ended := h.end(t)
	if !strings.Contains(stdout, "33 44\r\n") || !strings.Contains(stdout, "got word\r\n") || ended != "5" {
		t.Errorf("%q, %s", stdout, ended)
	}
	// Ctrl-C is the terminal's to make a signal of.
	p = shell("echo ready; exec sleep 100")
	p.Terminal = &protocol.Size{}
	h = begin(t, dial(), p)
	h.until(t, "ready")
	if err := h.to.Write(protocol.Stdin, []byte("\x03")); err != nil {
		t.Fatal(err)
	}
	if _, _, ended := h.end(t); ended != "130" {
		t.Errorf("ended with %s", ended)
	}
}

// The end of the input ends it on a terminal, too, whether or not a line has.
func TestEndOfInputOnATerminal(t *testing.T) {
	dial := serve(t)
	for _, input := range [][]string{{}, {"whole\n"}, {"part"}, {"part\x04"}, {"whole\n", "part"}} {
		p := shell("stty -echo; echo ready; cat; echo; echo end; cat")
		p.Terminal = &protocol.Size{}
		h := begin(t, dial(), p)
		_ = h.SetDeadline(time.Now().Add(20 * time.Second))
		h.until(t, "ready")
		for _, frame := range append(input, "") {
			if err := h.to.Write(protocol.Stdin, []byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		h.until(t, "end")
		h.Close()
	}
}

// A program may let go of its terminal, and write to it later.
func TestTerminalLetGo(t *testing.T) {
	p := shell("exec <&- >&- 2>&-; sleep 0.2; echo late >/dev/tty; exit 4")
	p.Terminal = &protocol.Size{}
	if stdout, _, ended := begin(t, serve(t)(), p).end(t); stdout != "late\r\n" || ended != "4" {
		t.Errorf("%q, %s", stdout, ended)
	}
}

func TestSignal(t *testing.T) {
	dial := serve(t)
	for _, size := range []*protocol.Size{nil, {}} {
		p := shell("trap 'echo usr1' USR1; echo ready; while :; do read x; done")
		p.Terminal = size
		h := begin(t, dial(), p)
		h.until(t, "ready")
		if err := h.to.Write(protocol.Signal, []byte{byte(unix.SIGUSR1)}); err != nil {
			t.Fatal(err)
		}
		h.until(t, "usr1")
		if err := h.to.Write(protocol.Signal, []byte{byte(unix.SIGTERM)}); err != nil {
			t.Fatal(err)
		}
		if _, _, ended := h.end(t); ended != "143" {
			t.Errorf("ended with %s", ended)
		}
	}
}

// A host that goes away ends the program, and what has left its session and its process group.
func TestGone(t *testing.T) {
	dial := serve(t)
	mark := filepath.Join(t.TempDir(), "pid")
	h := begin(t, dial(), shell("setsid sh -c 'echo $$ >"+mark+"; sleep 100' & sleep 0.2; echo ready; while :; do echo more; done"))
	h.until(t, "ready")
	var pid int
	text, err := os.ReadFile(mark)
	if _, scanErr := fmt.Sscan(string(text), &pid); err != nil || scanErr != nil {
		t.Fatalf("%q: %v", text, err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	h.Close()
	fds := []unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 1000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, 1000)
	}
	if n != 1 {
		t.Errorf("process %d goes on after a second: %v", pid, err)
	}
}

// A process outside of the program's group may keep the output open for ever. What was written until the program's end is
// sent, and nobody waits for more.
func TestOutputHeldOpen(t *testing.T) {
	// It leaves the group, as what a service manager starts is in none of ours.
	script := "leave=" + newGroup(t) + "; holder() { sh -c 'echo $PPID' >$leave/cgroup.procs; exec sleep 100; }; holder & pid=$!; " +
		"until grep -q ${leave##*/} /proc/$pid/cgroup; do :; done; echo $pid; head -c 1000000 /dev/zero >&2; exit 3"
	h := begin(t, serve(t)(), shell(script))
	_ = h.SetDeadline(time.Now().Add(20 * time.Second))
	// So that there is something left in the pipe when the program has ended.
	h.from = protocol.NewGuestReader(slow{h})
	stdout, stderr, ended := h.end(t)
	var pid int
	if _, err := fmt.Sscan(stdout, &pid); err != nil {
		t.Fatalf("%q: %v", stdout, err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("process %d did not hold the output: %v", pid, err)
	}
	if len(stderr) != 1000000 || ended != "3" {
		t.Errorf("%d bytes, %s", len(stderr), ended)
	}
}

type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Reader.Read(p)
}

// What a program has made below its group goes with it.
func TestNestedGroups(t *testing.T) {
	dial := serve(t)
	script := "g=" + hierarchy(t) + "$(sed -n s/^0:://p /proc/self/cgroup); mkdir -p $g/a/b $g/c && echo $$ >$g/a/b/cgroup.procs && (setsid sleep 100 &) && echo made"
	if stdout, stderr, ended := begin(t, dial(), shell(script)).end(t); stdout != "made\n" || ended != "0" {
		t.Errorf("%q, %q, %s", stdout, stderr, ended)
	}
	// The test fails at its end if any of the groups is left.
}

// A reader who takes his time gets all of it: the guest does not close before the host has.
func TestHostClosesFirst(t *testing.T) {
	h := begin(t, serve(t)(), shell("echo out"))
	if stdout, _, ended := h.endOpen(t); stdout != "out\n" || ended != "0" {
		t.Fatalf("%q, %s", stdout, ended)
	}
	_ = h.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, _, err := h.from.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("two seconds after the end: %v", err)
	}
	h.Close()
}

func TestInput(t *testing.T) {
	dial := serve(t)
	const size = 20 << 20
	h := begin(t, dial(), shell("cksum; sleep 0.1"))
	credit := protocol.NewCredit()
	go func() {
		_ = h.to.Copy(protocol.Stdin, io.LimitReader(zeros{}, size), credit)
		_ = h.to.Write(protocol.Stdin, nil)
	}()
	for {
		kind, payload, err := h.from.Next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == protocol.Window {
			if err := credit.Add(payload); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if want := fmt.Sprintf(" %d\n", size); kind != protocol.Stdout || !strings.HasSuffix(string(payload), want) {
			t.Errorf("%#02x %q, want %q", byte(kind), payload, want)
		}
		break
	}
	h.Close()
	// A program that does not read is still signalled and ended, with all that may be sent on the way.
	h = begin(t, dial(), shell("exec sleep 100"))
	if err := h.to.Copy(protocol.Stdin, io.LimitReader(zeros{}, protocol.InitialWindow), nil); err != nil {
		t.Fatal(err)
	}
	if err := h.to.Write(protocol.Signal, []byte{byte(unix.SIGINT)}); err != nil {
		t.Fatal(err)
	}
	if _, _, ended := h.end(t); ended != "130" {
		t.Errorf("ended with %s", ended)
	}
	// More is refused. What the program's pipe has taken, some pages, was allowed again.
	h = begin(t, dial(), shell("exec sleep 100"))
	go func(to *protocol.Writer) {
		_ = to.Copy(protocol.Stdin, io.LimitReader(zeros{}, 16*protocol.InitialWindow), nil)
	}(h.to)
	if _, _, ended := h.end(t); !strings.HasPrefix(ended, "125 malformed: ") || !strings.HasSuffix(ended, " bytes of input more than are allowed") {
		t.Errorf("ended with %s", ended)
	}
	// A program that closes its input does not keep the host from going on.
	h = begin(t, dial(), shell("exec <&-; echo ready; read x; sleep 0.3; echo end"))
	if err := h.to.Copy(protocol.Stdin, io.LimitReader(zeros{}, protocol.InitialWindow), nil); err != nil {
		t.Fatal(err)
	}
	h.until(t, "ready")
}

// However small the pieces are in which input comes that nobody reads, they are kept in about as many bytes as there are.
func TestInputInPieces(t *testing.T) {
	in := newInput(nil)
	want := sha256.New()
	for i := range 1 << 20 {
		piece := []byte{byte(i % 251)}
		if i%100 == 0 {
			piece = bytes.Repeat(piece, 100)
		}
		want.Write(piece)
		in.add(piece)
	}
	const size = 1<<20 + 99*(1<<20/100+1)
	kept := cap(in.chunks) * int(unsafe.Sizeof(in.chunks[0]))
	for _, chunk := range in.chunks {
		kept += cap(chunk)
	}
	if kept > 2*size {
		t.Errorf("%d bytes take %d", size, kept)
	}
	in.ended = true
	got := sha256.New()
	host, _ := protocol.NewWriter(io.Discard)
	if err := in.copyTo(got, host); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("other bytes come out")
	}
}

// A program that ends while the host goes on sending has ended, and nothing else has.
func TestEndsInTheInput(t *testing.T) {
	dial := serve(t)
	for range 100 {
		h := begin(t, dial(), shell("head -c 100000 >/dev/null; exit 3"))
		go func(to *protocol.Writer) {
			_ = to.Copy(protocol.Stdin, io.LimitReader(zeros{}, protocol.InitialWindow), nil)
		}(h.to)
		if _, _, ended := h.end(t); ended != "3" {
			t.Fatalf("ended with %s", ended)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestNonsense(t *testing.T) {
	dial := serve(t)
	const run = "vmsilo1\n\x01\x00\x00\x14\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00sleep\x00100\x00"
	for wire, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":           `125 malformed: the other side greets with "GET / HT" and not with "vmsilo1\n"`,
		"vmsilo1\n\x02\x00\x00\x00":        "125 malformed: the first frame is of type 0x02",
		"vmsilo1\n\x01\x00\x00\x01\x00":    "125 malformed: a program of 1 bytes",
		"vmsilo1\n\x01\xff\xff\xff":        "125 malformed: a frame of type 0x01 with 16777215 bytes",
		run + run[len(protocol.Greeting):]: "125 malformed: a frame of type 0x01 while a program runs",
		run + "\x04\x00\x00\x01\x00":       "125 malformed: signal 0",
		run + "\x04\x00\x00\x01\x41":       "125 malformed: signal 65",
		run + "\x07\x00\x00\x00":           "125 malformed: a frame of type 0x07",
	} {
		conn := dial()
		if _, err := io.WriteString(conn, wire); err != nil {
			t.Fatal(err)
		}
		h := host{conn, protocol.NewGuestReader(conn), nil}
		if _, _, ended := h.end(t); ended != want {
			t.Errorf("%q: %s", wire, ended)
		}
	}
	// Who keeps the connection is let go, too, and has heard why.
	const patience = 300 * time.Millisecond
	dial = serveImpatient(t, patience)
	for _, wire := range []string{"vmsilo1\n\x02\x00\x00\x00", "vmsilo1\n\x99", run + "\x07\x00\x00\x00", run + "\x04\x00\x00\x01\x00"} {
		conn := dial()
		begun := time.Now()
		if _, err := io.WriteString(conn, wire); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(begun.Add(20 * time.Second))
		h := host{conn, protocol.NewGuestReader(conn), nil}
		if wire != "vmsilo1\n\x99" {
			if _, _, ended := h.endOpen(t); !strings.HasPrefix(ended, "125 malformed: ") {
				t.Errorf("%q: %s", wire, ended)
			}
		}
		if _, _, err := h.from.Next(); errors.Is(err, os.ErrDeadlineExceeded) || err == nil || time.Since(begun) < patience {
			t.Errorf("%q: %v after %v", wire, err, time.Since(begun))
		}
	}
	// Who says nothing, or half of something, is let go when the connection closes.
	for _, wire := range []string{"", "vms", "vmsilo1\n\x01\x00", run + "\x02\x00\x01"} {
		conn := dial()
		if _, err := io.WriteString(conn, wire); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// A hundred at once, each with output of its own.
func TestMany(t *testing.T) {
	dial := serve(t)
	hosts := make([]host, 100)
	for i := range hosts {
		// What nobody holds is gone from here on.
		runtime.GC()
		hosts[i] = begin(t, dial(), shell(fmt.Sprintf("for i in 1 2 3; do echo %d-$i; done; exit %d", i, i)))
	}
	for i, h := range hosts {
		stdout, _, ended := h.end(t)
		if want := fmt.Sprintf("%[1]d-1\n%[1]d-2\n%[1]d-3\n", i); stdout != want || ended != fmt.Sprint(i) {
			t.Errorf("%d: %q, %s", i, stdout, ended)
		}
	}
}

func TestSessionEnv(t *testing.T) {
	got := strings.Join(merge(sessionEnv([]string{"A=1", "LISTEN_FDS=1", "B=2", "INVOCATION_ID=x"}), []string{"A=3", "AB=4"}), " ")
	if want := "B=2 A=3 AB=4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
