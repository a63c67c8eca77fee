// Package socket speaks with QEMU by its control socket, in QMP: docs/interop/qmp-spec.rst of QEMU. Commands are those of its
// qapi folder.
package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"vmsilo/internal/dial"
)

// Name is what it is called in the folder of the VMM.
const Name = "qmp.sock"

// Socket is its path. Its methods are those of control.VMM.
type Socket string

// PowerButton is of control.VMM.
func (q Socket) PowerButton() error { return q.execute("system_powerdown") }

// Quit is of control.VMM.
func (q Socket) Quit() error { return q.execute("quit") }

// Pause is of control.VMM.
func (q Socket) Pause() error { return q.execute("stop") }

// Resume is of control.VMM.
func (q Socket) Resume() error { return q.execute("cont") }

func (q Socket) execute(command string) error {
	return q.session(func(s *session) error { return s.execute(command, nil, nil) })
}

// Balloon is of control.VMM. QEMU is told what is left to the guest.
func (q Socket) Balloon(size int64) error {
	return q.session(func(s *session) error {
		var memory struct {
			Base int64 `json:"base-memory"`
		}
		if err := s.execute("query-memory-size-summary", nil, &memory); err != nil {
			return err
		}
		if size >= memory.Base {
			return fmt.Errorf("a balloon of %d bytes leaves nothing of the guest's %d", size, memory.Base)
		}
		return s.execute("balloon", map[string]any{"value": memory.Base - size}, nil)
	})
}

// Grow is of control.VMM. QEMU grows the file, which it has open.
func (q Socket) Grow(disk string, size int64) error {
	return q.session(func(s *session) error {
		var nodes []struct {
			Name     string `json:"node-name"`
			ReadOnly bool   `json:"ro"`
			Image    struct {
				Size int64 `json:"virtual-size"`
			}
		}
		if err := s.execute("query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Name != "vmsilo-"+disk {
				continue
			}
			if err := mayGrow(disk, n.ReadOnly, n.Image.Size, size); err != nil {
				return err
			}
			return s.execute("block_resize", map[string]any{"node-name": n.Name, "size": size}, nil)
		}
		return fmt.Errorf("the VM runs without a disk %q", disk)
	})
}

// mayGrow returns why a disk does not become so large: a guest that has a smaller one has lost what was behind its end.
func mayGrow(disk string, readOnly bool, from, to int64) error {
	switch {
	case readOnly:
		return fmt.Errorf("disk %q is read-only", disk)
	case to < from:
		return fmt.Errorf("disk %q has %d bytes, and is never made smaller", disk, from)
	case to%sector != 0:
		return fmt.Errorf("a disk has a whole number of sectors of %d bytes", sector)
	}
	return nil
}

// sector is the unit of a virtio disk's size, in bytes.
const sector = 512

// maxSession is how much is read of what QEMU says in a session, in bytes: a guest may have taken it over.
const maxSession = 1 << 20

// session is a connection in which each line of QEMU answers one of ours.
type session struct {
	to      *json.Encoder
	answers *json.Decoder
}

// session opens a session, and ends it after what is to be done.
func (q Socket) session(do func(*session) error) error {
	conn, err := dial.Request("unix", string(q))
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{json.NewEncoder(conn), json.NewDecoder(io.LimitReader(conn, maxSession))}
	var greeting map[string]any
	if err := s.answers.Decode(&greeting); err != nil {
		return fmt.Errorf("reading QEMU's greeting: %w", err)
	}
	if err := s.execute("qmp_capabilities", nil, nil); err != nil {
		return err
	}
	return do(s)
}

// execute runs one command. What it returns goes into result, unless that is nil.
func (s *session) execute(command string, arguments map[string]any, result any) error {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	err := s.to.Encode(request)
	if err == nil {
		err = s.answer(result)
	}
	if err != nil {
		return fmt.Errorf("asking QEMU for %s: %w", command, err)
	}
	return nil
}

// answer reads until the answer to a command; events, some of which the guest causes, come between.
func (s *session) answer(result any) error {
	for {
		var answer struct {
			Return *json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := s.answers.Decode(&answer); err != nil {
			return err
		}
		switch {
		case answer.Error != nil:
			return errors.New(answer.Error.Desc)
		case answer.Return != nil && result != nil:
			return json.Unmarshal(*answer.Return, result)
		case answer.Return != nil:
			return nil
		}
	}
}
