package main

import (
	"io"
	"strconv"
	"strings"
)

// maxLine is how long a line may be, in bytes; what is longer becomes several.
const maxLine = 1024

// text writes what a terminal would show as lines of text: no escape sequence, no control character. It never fails: the
// journal is not what a console is for.
type text struct {
	to    io.Writer
	line  []byte
	state func(*text, byte)
}

func (t *text) Write(data []byte) (int, error) {
	for _, b := range data {
		if t.state == nil {
			t.plain(b)
		} else {
			t.state(t, b)
		}
	}
	return len(data), nil
}

func (t *text) plain(b byte) {
	switch {
	case b == '\n':
		t.flush()
	case b == 0x1b:
		t.state = (*text).escape
	case b == '\t':
		t.line = append(t.line, ' ')
	case b >= ' ' && b != 0x7f:
		t.line = append(t.line, b)
	}
	if len(t.line) >= maxLine {
		t.flush()
	}
}

// escape takes what follows ESC, by ECMA-48: one byte, after others where it begins a sequence or a string.
func (t *text) escape(b byte) {
	switch {
	case b == '[':
		t.state = (*text).sequence
	case strings.IndexByte("]PX^_", b) >= 0:
		t.state = (*text).str
	case b < ' ' || b > '/':
		t.state = nil
		if b == '\n' {
			t.plain(b)
		}
	}
}

// sequence takes parameters up to the byte that ends them.
func (t *text) sequence(b byte) {
	if b >= '@' && b <= '~' || b < ' ' {
		t.state = nil
		if b < ' ' {
			t.plain(b)
		}
	}
}

// str takes a string, such as a title, up to BEL or ESC \. A newline ends it, too, so that none hides all that follows.
func (t *text) str(b byte) {
	switch b {
	case 0x07, '\n':
		t.state = nil
	case 0x1b:
		t.state = (*text).escape
	}
}

// flush writes the line as it is by now.
func (t *text) flush() {
	line := strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(string(t.line), "\ufffd"))
	t.line = t.line[:0]
	if line != "" {
		_, _ = io.WriteString(t.to, line+"\n")
	}
}
