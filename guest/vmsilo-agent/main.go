// Vmsilo-agent runs programs for the host.
//
// Synopsis:
//
//	vmsilo-agent [--idle=DURATION]
//
// Description:
//
// It takes the listening socket that systemd hands over. Each connection is one program, as docs/protocol.md has it, and
// the program inherits what vmsilo-agent has: the user, the login session, its environment and limits. Every program has a
// control group of its own below that of vmsilo-agent. It is killed as a whole when the program has ended, and when the
// host closes the connection: nothing that was started goes on by itself.
//
// It needs CAP_DAC_OVERRIDE, to make these groups in the session's, which is root's, and CAP_KILL, for signals to
// programs like sudo. The programs do not get them.
//
// It ends when there has been no connection for a while; the next one starts it again.
//
// Options:
//
//	--idle  how long to wait for the next connection; 10s when not given
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"vmsilo/guest/internal/peer"
	"vmsilo/guest/internal/pieces"
	"vmsilo/internal/command"
	"vmsilo/internal/idle"
	"vmsilo/internal/protocol"
)

func main() { command.Main(run) }

const (
	// maxPrograms is how many programs run at a time.
	maxPrograms = 512
	// patience is how long the host may take to say what it wants of a connection, and to close one that has failed.
	patience = time.Minute
)

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-agent", flag.ContinueOnError)
	rest := flags.Duration("idle", 10*time.Second, "how long to wait for the next connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// The kernel does what takes long. Threads that wake each other for the rest cost more than they do, above all where
	// the processors are emulated.
	runtime.GOMAXPROCS(1)
	sockets := activation.Files(true)
	if len(sockets) != 1 {
		return fmt.Errorf("want one socket from systemd, got %d", len(sockets))
	}
	if err := keepCapabilities(); err != nil {
		return err
	}
	groups, err := ownGroups()
	if err != nil {
		return err
	}
	listener, err := listenerOf(sockets[0])
	if err != nil {
		return err
	}
	defer groups.close()
	if err := control(listener, receiveMuch); err != nil {
		return err
	}
	a := &agent{groups: groups, env: sessionEnv(os.Environ()), patience: patience}
	return a.serve(listener, *rest)
}

// keepCapabilities makes the capabilities vmsilo-agent's own: no exec passes on what cannot be inherited, nor can that
// be ambient. See capabilities(7).
func keepCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	// Each thread has its own, and any may be the one that starts a program.
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("keeping capabilities: %w", errno)
	}
	return nil
}

// listenerOf returns a socket of any family, which Go's package net has not for vsock, as a file that can be waited for.
// It takes the place of the one it is given.
func listenerOf(socket *os.File) (*os.File, error) {
	defer socket.Close()
	fd, err := unix.FcntlInt(socket.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("preparing a socket: %w", err)
	}
	return pollable(fd)
}

// buffer is how many bytes of a connection the guest's kernel holds, eight times as many as it does by itself: the host
// is told less often that there is room, which is a packet each time.
const buffer = 2 << 20

// receiveMuch sets that for what a listening vsock accepts: SO_VM_SOCKETS_BUFFER_SIZE of linux/vm_sockets.h. Other sockets,
// which tests have, know no such thing.
func receiveMuch(listener int) error {
	if domain, err := unix.GetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_VSOCK {
		return err
	}
	for _, option := range []int{unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, unix.SO_VM_SOCKETS_BUFFER_SIZE} {
		if err := unix.SetsockoptUint64(listener, unix.AF_VSOCK, option, buffer); err != nil {
			return fmt.Errorf("preparing a socket: %w", err)
		}
	}
	return nil
}

// pollable returns a file that Go can wait for. It closes the descriptor if it cannot.
func pollable(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing a file: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "file"), nil
}

// agent runs the programs.
type agent struct {
	groups *groups
	// env is what every program has in its environment.
	env []string
	// patience is patience, but for tests, which have less.
	patience time.Duration

	load *idle.Load
	// ends is for tests, which wait for what they began.
	ends sync.WaitGroup
}

// serve takes connections until there has been none for so long.
func (a *agent) serve(listener *os.File, rest time.Duration) error {
	a.load = idle.New(listener, rest)
	for {
		conn, err := accept(listener)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, errStranger) || errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("accepting a connection: %w", err)
		}
		a.load.Add(1)
		a.ends.Add(1)
		go func() {
			defer a.ends.Done()
			defer a.load.Add(-1)
			a.connection(conn)
		}()
	}
}

// accept waits for a connection until the listener's deadline.
func accept(listener *os.File) (*os.File, error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var from unix.Sockaddr
	var acceptErr error
	err = raw.Read(func(listening uintptr) bool {
		fd, from, acceptErr = unix.Accept4(int(listening), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return !errors.Is(acceptErr, unix.EAGAIN)
	})
	if err := errors.Join(err, acceptErr); err != nil {
		return nil, err
	}
	conn := os.NewFile(uintptr(fd), "connection")
	if !peer.Host(from) {
		return nil, errors.Join(errStranger, conn.Close())
	}
	return conn, nil
}

// errStranger is for a connection that somebody in the guest has made.
var errStranger = errors.New("it is not the host's")

// connection runs the program of a connection, and closes it.
func (a *agent) connection(conn *os.File) {
	defer conn.Close()
	from := protocol.NewHostReader(conn)
	// Before the program starts: a host that was not greeted may ask for it once more.
	// Where that fails no frame can be written, either.
	to, _ := protocol.NewWriter(pieces.Writer{To: direct{conn}})
	p, err := a.begin(conn, from)
	if p != nil {
		// When the host has its answer: this takes the kernel some time.
		defer a.groups.putAway(p.group)
	}
	heard := make(chan error, 1)
	go func() {
		// Said before it is done, so that nobody takes the end of the program for its own.
		heard <- p.listen(conn, from)
		if p != nil {
			p.kill()
		}
	}()
	var status protocol.Status
	if err == nil {
		status = p.run(to)
	}
	select {
	case err = <-heard:
		heard <- err
	default:
	}
	kind, payload := protocol.Ended, status.Marshal()
	if err != nil {
		kind, payload = protocol.Failed, failure(err).Marshal()
	}
	if errors.Is(err, errGone) || to.Write(kind, payload) != nil {
		return
	}
	// The host closes first: vhost-device-vsock 0.3 drops what it still has for the host eight seconds after the guest has
	// closed. It may take its time to read what a program has written, but not for a failure.
	failed := kind == protocol.Failed
	if failed {
		_ = conn.SetReadDeadline(time.Now().Add(a.patience))
	}
	<-heard
	if failed {
		// Behind what is malformed nobody listens.
		_, _ = io.Copy(io.Discard, conn)
	}
}

// failure returns what to tell the host about an error.
func failure(err error) *protocol.Failure {
	var f *protocol.Failure
	if !errors.As(err, &f) {
		f = &protocol.Failure{Code: protocol.NotRun, Text: err.Error()}
	}
	return f
}

// begin reads what the host asks for, and starts it.
func (a *agent) begin(conn *os.File, from *protocol.Reader) (*program, error) {
	_ = conn.SetReadDeadline(time.Now().Add(a.patience))
	kind, payload, err := from.Next()
	_ = conn.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, protocol.ErrMalformed):
		return nil, err
	case err != nil:
		return nil, errGone
	case kind != protocol.Run:
		return nil, fmt.Errorf("%w: the first frame is of type %#02x", protocol.ErrMalformed, byte(kind))
	}
	asked, err := protocol.ParseProgram(payload)
	if err != nil {
		return nil, err
	}
	if a.load.Add(0) > maxPrograms {
		return nil, fmt.Errorf("%d programs run in this VM already", maxPrograms)
	}
	return start(asked, a.env, a.groups)
}

// errGone is the host's end of a connection, after which nobody is there to be told anything.
var errGone = errors.New("the host has closed the connection")
