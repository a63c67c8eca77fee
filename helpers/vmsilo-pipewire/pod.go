package main

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Kinds of values of PipeWire's messages: spa/utils/type.h. Of others it is enough to know how long they are.
const (
	kindInt    = 4
	kindLong   = 5
	kindString = 8
	kindStruct = 14
)

// pod is one value of a message: "SPA POD" of PipeWire's documentation. On a Unix socket numbers are the machine's.
type pod struct {
	kind uint32
	body []byte
}

var errPod = errors.New("a message that is none of PipeWire's")

// podHeader is the length of what is before the body: its size in bytes, and its kind. The next one begins at the next multiple
// of that.
const podHeader = 8

// cut returns the first value of data, and what is behind it.
func cut(data []byte) (first pod, rest []byte, err error) {
	if len(data) < podHeader {
		return pod{}, nil, errPod
	}
	size := uint64(binary.NativeEndian.Uint32(data))
	padded := (size + podHeader - 1) / podHeader * podHeader
	if padded > uint64(len(data)-podHeader) {
		return pod{}, nil, errPod
	}
	kind := binary.NativeEndian.Uint32(data[4:])
	return pod{kind, data[podHeader:][:size]}, data[podHeader+padded:], nil
}

// fields returns the values of a struct, the whole of data but for what may be behind it: a "footer", which tells how much of
// the registry a client has seen, and is nobody's here.
func fields(data []byte) ([]pod, error) {
	p, _, err := cut(data)
	if err != nil {
		return nil, err
	}
	return p.fields()
}

// fields returns the values of a struct.
func (p pod) fields() ([]pod, error) {
	if p.kind != kindStruct {
		return nil, errPod
	}
	var all []pod
	for rest := p.body; len(rest) > 0; {
		var next pod
		var err error
		if next, rest, err = cut(rest); err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	return all, nil
}

// int returns a number of four bytes.
func (p pod) int() (uint32, bool) {
	if p.kind != kindInt || len(p.body) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(p.body), true
}

// text returns a string, which ends at its first NUL and nowhere else.
func (p pod) text() (string, bool) {
	text, ended := strings.CutSuffix(string(p.body), "\x00")
	if p.kind != kindString || !ended || strings.Contains(text, "\x00") {
		return "", false
	}
	return text, true
}

// isNumber tells whether p is a number of this kind.
func (p pod) isNumber(kind uint32) bool {
	return p.kind == kind && len(p.body) == map[uint32]int{kindInt: 4, kindLong: 8}[kind]
}

func intPod(n uint32) pod { return pod{kindInt, binary.NativeEndian.AppendUint32(nil, n)} }

func textPod(text string) pod { return pod{kindString, append([]byte(text), 0)} }

func structPod(all ...pod) pod {
	var body []byte
	for _, p := range all {
		body = p.append(body)
	}
	return pod{kindStruct, body}
}

// append adds p to data.
func (p pod) append(data []byte) []byte {
	data = binary.NativeEndian.AppendUint32(data, uint32(len(p.body)))
	data = binary.NativeEndian.AppendUint32(data, p.kind)
	data = append(data, p.body...)
	if over := len(p.body) % podHeader; over > 0 {
		data = append(data, make([]byte, podHeader-over)...)
	}
	return data
}
