package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// File is one configuration file as it was read.
type File struct {
	// Path is the path under which the file was found.
	Path string
	data []byte
}

// span is a range of bytes of a file.
type span struct{ offset, length int }

// Position is a place in a configuration file.
type Position struct {
	File *File
	span span
}

// IsZero reports whether p points at nothing, as for a value that was not given.
func (p Position) IsZero() bool { return p.File == nil }

// LineColumn returns the line and the column of p, both counted from 1; a column counts characters.
func (p Position) LineColumn() (line, column int) {
	before := p.File.data[:p.span.offset]
	line = bytes.Count(before, []byte("\n")) + 1
	start := bytes.LastIndexByte(before, '\n') + 1
	return line, utf8.RuneCount(before[start:]) + 1
}

// String returns FILE:LINE:COLUMN.
func (p Position) String() string {
	line, column := p.LineColumn()
	return fmt.Sprintf("%s:%d:%d", p.File.Path, line, column)
}

// Error is one thing that is wrong with one place of the configuration.
type Error struct {
	Position
	// Message says what is wrong, in one line.
	Message string
	// Hint says what to do; it may be empty.
	Hint string
}

// Error returns FILE:LINE:COLUMN: message, and below it the line, a caret under the place, and the hint.
func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Position, e.Message)
	if line := e.sourceLine(); line != "" {
		fmt.Fprintf(&b, "\n    %s\n    %s", line, e.caret())
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n    hint: %s", e.Hint)
	}
	return b.String()
}

// sourceLine returns the line of e with tabs as single spaces, so that the caret stands right,
// and without bytes that a terminal would act on.
func (e Error) sourceLine() string {
	line := e.File.data[bytes.LastIndexByte(e.File.data[:e.span.offset], '\n')+1:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return strings.Map(printable, strings.TrimRight(string(line), " \t\r"))
}

func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r < ' ' || r == utf8.RuneError || 0x7f <= r && r < 0xa0:
		return '?'
	}
	return r
}

func (e Error) caret() string {
	_, column := e.LineColumn()
	width := 1
	if end := e.span.offset + e.span.length; end <= len(e.File.data) {
		marked, _, _ := bytes.Cut(e.File.data[e.span.offset:end], []byte("\n"))
		width = max(1, utf8.RuneCount(marked))
	}
	return strings.Repeat(" ", column-1) + "^" + strings.Repeat("~", width-1)
}

// ordered returns errs by file, line and column, each once: one of [defaults] is met by every VM.
func ordered(errs []Error) []Error {
	slices.SortFunc(errs, func(a, b Error) int {
		return cmp.Or(
			strings.Compare(a.File.Path, b.File.Path),
			cmp.Compare(a.span.offset, b.span.offset),
			strings.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(errs, func(a, b Error) bool {
		return a.File.Path == b.File.Path && a.span.offset == b.span.offset && a.Message == b.Message
	})
}
