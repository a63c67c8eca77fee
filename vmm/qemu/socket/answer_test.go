package socket

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// An event may come before QEMU's answer, and is none.
func TestQMPAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`{"event": "RTC_CHANGE"} {"return": {}}`:               "",
		`{"event": "RTC_CHANGE"} {"error": {"desc": "no"}}`:    "no",
		`{"return": {"error": "is a key of the answer here"}}`: "",
		`{"event": "RTC_CHANGE"}`:                              "EOF",
	} {
		s := session{json.NewEncoder(io.Discard), json.NewDecoder(strings.NewReader(text))}
		err := s.answer(nil)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
