// Vmsilo-proxy leads a VM's Wayland socket to the compositor of its user.
//
// Synopsis:
//
//	vmsilo-proxy [--plain] NAME
//
// Description:
//
// It takes the listening socket that systemd hands over and runs as the user whose compositor it is. The compositor gets
// that socket as a security context (wp_security_context_v1) of the sandbox engine "vmsilo" and the app id "vmsilo.NAME",
// and itself accepts whoever connects: it can tell the VM's windows from others, and keeps privileged protocols from them.
// No byte of the VM's passes through this process, which stays only to say how long that holds.
//
// The compositor is that of WAYLAND_DISPLAY in the environment of the user's service manager, or else the first that
// listens among the wayland-* sockets of the user's runtime folder. While there is none, whoever connects waits. When it
// ends, the next one gets the socket.
//
// A compositor without that protocol is not given the socket: whoever connects is refused. With --plain each connection is
// carried to the compositor instead, with the files that go along, and the VM can do what any program of the user's can.
//
// Options:
//
//	--plain  without a security context
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

func main() { command.Main(run) }

func run(args []string) error {
	flags := flag.NewFlagSet("vmsilo-proxy", flag.ContinueOnError)
	plain := flags.Bool("plain", false, "without a security context")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want the name of a VM, got %q", flags.Args())
	}
	// Not a net.Listener: Go would wake up for each connection, which are the compositor's.
	sockets := activation.Files(true)
	if len(sockets) != 1 {
		return fmt.Errorf("want one socket from systemd, got %d", len(sockets))
	}
	fd := int(sockets[0].Fd())
	// The compositor is never to wait for a connection that is gone by then.
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("preparing the socket: %w", err)
	}
	p := &proxy{
		socket:  fd,
		session: &session{folder: "/run/user/" + strconv.Itoa(os.Getuid()), environment: managerEnvironment},
		sandbox: sandbox{"vmsilo", "vmsilo." + flags.Arg(0), os.Getenv("INVOCATION_ID")},
		say:     say,
	}
	if *plain {
		return p.carry()
	}
	return p.handOn()
}

// say tells the journal and systemd how things are.
func say(text string) {
	fmt.Fprintf(os.Stderr, "vmsilo-proxy: %s\n", text)
	first, _, _ := strings.Cut(text, "\n")
	// That systemd cannot be told keeps nobody from anything.
	_, _ = daemon.SdNotify(false, "STATUS="+first)
}

// proxy leads a listening socket to a session's compositor.
type proxy struct {
	// socket is its descriptor, which does not block.
	socket  int
	session *session
	sandbox sandbox
	// say is told each time that things are otherwise; said is what it was told last.
	say  func(text string)
	said string
}

// note says how things are, unless that is known.
func (p *proxy) note(text string) {
	if p.said != text {
		p.said = text
		p.say(text)
	}
}

// listen takes the socket to accept connections itself. Closing it leaves the socket as it is.
func listen(socket int) (*net.UnixListener, error) {
	fd, err := unix.FcntlInt(uintptr(socket), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("taking the socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking the socket: %w", err)
	}
	unixListener, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.New("want a Unix stream socket from systemd")
	}
	unixListener.SetUnlinkOnClose(false)
	return unixListener, nil
}
