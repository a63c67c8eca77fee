package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vmsilo/internal/await"
	"vmsilo/internal/printable"
	"vmsilo/vmm/control"
)

const (
	// patience is how long who asks may take to say for what.
	patience = 3 * time.Second
	// maxRequest and maxAnswer are the longest request and answer, in bytes.
	maxRequest, maxAnswer = 128, 1000
)

// paused is the status of a VM that is paused, as vmsilo list looks for it.
const paused = "paused"

type server struct {
	// folder has the VMM's control socket, and is there as long as the VMM is.
	folder string
	idle   time.Duration
	// tell tells how the VM is.
	tell   func(status string)
	paused bool
	// gone is closed when folder has gone; it is nil until that has to be known.
	gone chan struct{}
}

// serve serves one connection after the other. One who was killed while the VM was paused has left the mark of that.
func (s *server) serve(socket *net.UnixListener) error {
	if _, err := os.Stat(s.mark()); err == nil {
		s.paused = true
		s.tell(paused)
		if err := s.stay(socket); err != nil {
			return err
		}
	}
	for {
		// What has set the deadline that ends this is the end of the VMM.
		if !s.paused {
			if err := socket.SetDeadline(time.Now().Add(s.idle)); err != nil {
				return err
			}
		}
		conn, err := socket.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		was := s.paused
		s.answer(conn)
		if s.paused && !was {
			if err := s.stay(socket); err != nil {
				return err
			}
		}
	}
}

// stay has serve wait for the next request, however long that takes, unless the VMM ends.
func (s *server) stay(socket *net.UnixListener) error {
	if s.gone == nil {
		s.gone = make(chan struct{})
		go func() {
			// Nothing has this name.
			_ = await.File(filepath.Join(s.folder, ".none"))
			close(s.gone)
			_ = socket.SetDeadline(time.Now())
		}()
	}
	if err := socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	select {
	case <-s.gone:
		// That deadline may have been before this one.
		return socket.SetDeadline(time.Now())
	default:
		return nil
	}
}

// answer answers one request. That the other end is gone by then is no error.
func (s *server) answer(conn *net.UnixConn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadString('\n')
	if err == nil {
		err = s.do(strings.Fields(line))
	} else {
		err = fmt.Errorf("no request has come: %w", err)
	}
	text := "OK"
	if err != nil {
		text = strings.Map(printable.Rune, err.Error())
		text = strings.ToValidUTF8(text[:min(len(text), maxAnswer)], "")
	}
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text+"\n")
}

// do does what is asked for.
func (s *server) do(request []string) error {
	r, err := parse(request)
	if err != nil {
		return err
	}
	if r.pauses && s.paused {
		return nil
	}
	vmm, err := control.In(s.folder)
	if err == nil {
		err = r.do(vmm)
	}
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(request, " "))
	if s.paused = s.paused && !r.resumes || r.pauses; s.paused {
		s.tell(paused)
		return os.WriteFile(s.mark(), nil, 0o600)
	}
	s.tell("")
	if err := os.Remove(s.mark()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// mark is a file that is there while the VM is paused. It goes with the folder when the VMM ends.
func (s *server) mark() string { return filepath.Join(s.folder, "paused") }
