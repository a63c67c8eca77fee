package images

import (
	"reflect"
	"strings"
	"testing"
)

func TestStages(t *testing.T) {
	var said []string
	s := stages{say: func(stage string) { said = append(said, stage) }}
	for _, part := range []string{"I: one\nW: a war", "ning\nI: t", "wo\nE: unfinished"} {
		s.Write([]byte(part))
	}
	if want := []string{"one", "two"}; !reflect.DeepEqual(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	if want := "    I: one\n    W: a warning\n    I: two\n    E: unfinished"; s.tail() != want {
		t.Errorf("got %q, want %q", s.tail(), want)
	}
	s.Write([]byte(strings.Repeat("\nline", 100)))
	if lines := strings.Count(s.tail(), "\n"); lines != 30 {
		t.Errorf("keeps %d lines", lines)
	}
}
