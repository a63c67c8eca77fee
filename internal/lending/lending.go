// Package lending carries open disks from a process that may open them to one that may not, over a Unix socket of type
// SOCK_SEQPACKET: unix(7).
//
// The lender sends one packet for each disk, in the order in which the VM has them, and closes. A packet is "+", with
// the disk's descriptor (SCM_RIGHTS), or "-", the reason why there is none, and after a newline what to do about it.
package lending

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
	"vmsilo/internal/rights"
)

// First is the number that a VMM has its first disk's descriptor under; that of the next is one more. No program of ours has so
// many files by itself: what has the number of a disk is closed for it, were it what Go waits with.
const First = 100

// maxPacket is the most bytes that a packet has. A path has 4096 at most, and stands quoted in a reason.
const maxPacket = 20 << 10

// Lend sends a disk, which stays the caller's to close.
func Lend(to *net.UnixConn, disk *os.File) error {
	if err := rights.Send(to, []byte("+"), disk); err != nil {
		return fmt.Errorf("lending a disk: %w", err)
	}
	return nil
}

// Refuse sends, in the place of a disk, why there is none: words that follow the disk's name, and a hint if it has one.
func Refuse(to *net.UnixConn, reason error) error {
	text := "-" + reason.Error()
	var hinted *command.Hinted
	if errors.As(reason, &hinted) {
		text += "\n" + hinted.Hint
	}
	if _, err := to.Write([]byte(text)); err != nil {
		return fmt.Errorf("refusing a disk: %w", err)
	}
	return nil
}

// Lender is where disks are borrowed.
type Lender struct{ conn *net.UnixConn }

// Dial connects to the lender that listens at path.
func Dial(path string) (*Lender, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("asking for disks: %w", err)
	}
	return &Lender{conn}, nil
}

// Close ends the connection. What was borrowed stays open.
func (l *Lender) Close() error { return l.conn.Close() }

// Next borrows the next disk, which no program that is started has by itself. An error may be the lender's reason.
func (l *Lender) Next() (*os.File, error) {
	packet := make([]byte, maxPacket)
	n, disk, err := rights.Receive(l.conn, packet)
	if err != nil {
		return nil, fmt.Errorf("borrowing a disk: %w", err)
	}
	text := string(packet[:n])
	if text == "+" && disk != nil {
		return disk, nil
	}
	if disk != nil {
		disk.Close()
	}
	if reason, refused := strings.CutPrefix(text, "-"); refused {
		reason, hint, _ := strings.Cut(reason, "\n")
		return nil, command.Errorf(hint, "%s", reason)
	}
	return nil, errors.New("borrowing a disk: the lender has sent none")
}

// Keep has the programs that are started from here on have the nth disk, at First and n. It closes the disk.
func Keep(disk *os.File, n int) error {
	err := unix.Dup3(int(disk.Fd()), First+n, 0)
	if err := errors.Join(err, disk.Close()); err != nil {
		return fmt.Errorf("keeping a disk: %w", err)
	}
	return nil
}
