package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxPayload is how long a message may be, in bytes. A node's formats take some thousand.
	maxPayload = 256 << 10
	// maxFiles is how many descriptors PipeWire takes at once: MAX_FDS_MSG of module-protocol-native/connection.c.
	maxFiles = 28
	// messageHeader is the length of a message's header: who it is for, what and how long it is, its number, and how many
	// descriptors come with it.
	messageHeader = 16
)

// message is one of PipeWire's native protocol. What a client says is a method of an object, and what the server says an event.
type message struct {
	object uint32
	opcode uint8
	// number is what the other side refers to the message by.
	number  uint32
	payload []byte
	// files are descriptors; whoever has the message closes them.
	files []int
}

// newMessage returns one whose payload is a struct of values.
func newMessage(object uint32, opcode uint8, values ...pod) message {
	return message{object: object, opcode: opcode, payload: structPod(values...).append(nil)}
}

func (m message) close() {
	for _, fd := range m.files {
		unix.Close(fd)
	}
}

// link is a connection with one side.
type link struct {
	conn *net.UnixConn
	// bytes and files are what has come and was not read yet.
	bytes []byte
	files []int
	// writing is held while a message is written.
	writing sync.Mutex
}

// read returns the next message. One goroutine reads from a link.
func (l *link) read() (message, error) {
	if err := l.fill(messageHeader); err != nil {
		return message{}, err
	}
	word := func(n int) uint32 { return binary.NativeEndian.Uint32(l.bytes[4*n:]) }
	m := message{object: word(0), opcode: uint8(word(1) >> 24), number: word(2)}
	size, files := int(word(1)&0xffffff), word(3)
	if size > maxPayload || files > maxFiles {
		return message{}, fmt.Errorf("a message of %d bytes and %d files is too large", size, files)
	}
	if err := l.fill(messageHeader + size); err != nil {
		return message{}, err
	}
	if int(files) > len(l.files) {
		return message{}, errors.New("a message lacks files")
	}
	m.payload = append([]byte(nil), l.bytes[messageHeader:][:size]...)
	m.files = append([]int(nil), l.files[:files]...)
	l.bytes, l.files = l.bytes[messageHeader+size:], l.files[files:]
	return m, nil
}

// fill reads until there are so many bytes.
func (l *link) fill(size int) error {
	buffer, control := make([]byte, 16<<10), make([]byte, unix.CmsgSpace(4*maxFiles))
	for len(l.bytes) < size {
		n, control0, flags, _, err := l.conn.ReadMsgUnix(buffer, control)
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if err := l.take(control[:control0]); err != nil {
			return err
		}
		if flags&unix.MSG_CTRUNC != 0 || len(l.files) > 4*maxFiles {
			return errors.New("too many files at once")
		}
		if n == 0 {
			return net.ErrClosed
		}
		l.bytes = append(l.bytes, buffer[:n]...)
	}
	return nil
}

// take keeps the descriptors that have come with some bytes.
func (l *link) take(control []byte) error {
	all, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("reading what came with a message: %w", err)
	}
	for _, one := range all {
		if files, err := unix.ParseUnixRights(&one); err == nil {
			l.files = append(l.files, files...)
		}
	}
	return nil
}

// write sends a message, and closes its files.
func (l *link) write(m message) error {
	defer m.close()
	var data []byte
	for _, word := range []uint32{m.object, uint32(m.opcode)<<24 | uint32(len(m.payload)), m.number, uint32(len(m.files))} {
		data = binary.NativeEndian.AppendUint32(data, word)
	}
	data = append(data, m.payload...)
	var control []byte
	if len(m.files) > 0 {
		control = unix.UnixRights(m.files...)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	// What does not fit at once is written like any other bytes; the files have gone with the first.
	n, _, err := l.conn.WriteMsgUnix(data, control, nil)
	if err == nil && n < len(data) {
		_, err = l.conn.Write(data[n:])
	}
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// close ends the link. What was not read of it is closed by who reads.
func (l *link) close() { l.conn.Close() }

// drop closes what has come and was not read.
func (l *link) drop() { message{files: l.files}.close() }
