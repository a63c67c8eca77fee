package lending

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lender returns a connection to somebody who does as told on the other side.
func lender(t *testing.T, do func(*net.UnixConn)) *Lender {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := socket.AcceptUnix(); err == nil {
			do(conn)
			conn.Close()
		}
	}()
	l, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		socket.Close()
		<-done
	})
	return l
}

// A program that is started has the disks under their numbers.
func TestKeep(t *testing.T) {
	l := lender(t, func(conn *net.UnixConn) {
		for _, text := range []string{"one", "two"} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = w.WriteString(text)
			w.Close()
			if err := Lend(conn, r); err != nil {
				t.Error(err)
			}
			r.Close()
		}
	})
	for n := range 2 {
		disk, err := l.Next()
		if err == nil {
			err = Keep(disk, n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	defer unix.Close(First)
	defer unix.Close(First + 1)
	out, err := exec.Command("bash", "-c", "cat <&100; echo; cat <&101").Output()
	if want := "one\ntwo"; err != nil || string(out) != want {
		t.Errorf("got %q, want %q, error %v", out, want, err)
	}
}

func TestNonsense(t *testing.T) {
	for name, do := range map[string]func(*net.UnixConn){
		"nobody":           func(*net.UnixConn) {},
		"no descriptor":    func(c *net.UnixConn) { _, _ = c.Write([]byte("+")) },
		"nothing":          func(c *net.UnixConn) { _, _ = c.Write([]byte("?")) },
		"no reason":        func(c *net.UnixConn) { _, _ = c.Write([]byte("-")) },
		"a long reason":    func(c *net.UnixConn) { _, _ = c.Write([]byte("-" + strings.Repeat("x", 2*maxPacket))) },
		"what is no \"+\"": func(c *net.UnixConn) { _, _, _ = c.WriteMsgUnix([]byte("++"), unix.UnixRights(0), nil) },
		"two descriptors":  func(c *net.UnixConn) { _, _, _ = c.WriteMsgUnix([]byte("+"), unix.UnixRights(0, 1), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			if file, err := lender(t, do).Next(); err == nil {
				t.Errorf("got %v", file)
			}
		})
	}
}
