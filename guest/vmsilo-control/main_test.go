package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for request, want := range map[string]struct {
		answer string
		off    bool
	}{
		"vmsilo1\n\x06\x00\x00\x00": {"vmsilo1\n\x86\x00\x00\x00", false},
		"vmsilo1\n\x05\x00\x00\x00": {"vmsilo1\n\x86\x00\x00\x00", true},
		"vmsilo1\n\x02\x00\x00\x00": {"vmsilo1\n\x85\x00\x00#}a frame of type 0x02 is no request", false},
		"GET / HTTP/1.0\r\n":        {"vmsilo1\n\x85\x00\x00J}malformed: the other side greets with \"GET / HT\" and not with \"vmsilo1\\n\"", false},
		"vmsilo1\n\x05\x00\x00\x01": {"vmsilo1\n\x85\x00\x00-}malformed: a frame of type 0x05 with 1 bytes", false},
	} {
		var answer bytes.Buffer
		off := false
		if err := run(strings.NewReader(request), &answer, func() error { off = true; return nil }); err != nil {
			t.Errorf("%q: %v", request, err)
		}
		if answer.String() != want.answer || off != want.off {
			t.Errorf("%q: %q, %v", request, answer.String(), off)
		}
	}
	for _, request := range []string{"", "vmsilo1\n", "vmsilo1\n\x05\x00"} {
		var answer bytes.Buffer
		if err := run(strings.NewReader(request), &answer, nil); err == nil || answer.String() != "vmsilo1\n" {
			t.Errorf("%q: %q, %v", request, answer.String(), err)
		}
	}
}
