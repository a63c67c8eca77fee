package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"vmsilo/internal/printable"
)

// File is one configuration file as it was read.
type File struct {
	// Path is the path under which the file was found.
	Path string
	// Denied tells that it may be sound, for somebody who may read it.
	Denied bool
	data   []byte
}

// span is a range of bytes of a file.
type span struct{ offset, length int }

// Position is a place in a configuration file.
type Position struct {
	File *File
	span span
}

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
	fmt.Fprintf(&b, "%s: %s", e.Position, shorten(e.Message))
	if line, caret := e.excerpt(); line != "" {
		fmt.Fprintf(&b, "\n    %s\n    %s", line, caret)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n    hint: %s", e.Hint)
	}
	return b.String()
}

const (
	// excerptBefore and excerptWidth bound what is shown of a line, in characters: a line may be as long as a file.
	excerptBefore = 60
	excerptWidth  = 120
	// maxMessage bounds a message, which may quote a value, in bytes.
	maxMessage = 500
)

// shorten cuts a message that quotes too much.
func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}

// excerpt returns the line of e, or the part of it around the place, and a caret that stands under the place. Tabs are
// single spaces, and what a terminal would act on or not show is a question mark.
func (e Error) excerpt() (line, caret string) {
	data := e.File.data
	start := bytes.LastIndexByte(data[:e.span.offset], '\n') + 1
	before := []rune(string(data[start:e.span.offset]))
	if len(before) > excerptBefore {
		before = append([]rune("…"), before[len(before)-excerptBefore:]...)
	}
	rest, _, _ := bytes.Cut(data[e.span.offset:], []byte("\n"))
	marked := utf8.RuneCount(rest[:min(e.span.length, len(rest))])
	after := []rune(string(rest))
	if room := excerptWidth - len(before); len(after) > room {
		after, marked = append(after[:room:room], '…'), min(marked, room)
	}
	line = strings.Map(printable.Rune, strings.TrimRight(string(before)+string(after), " \t\r"))
	return line, strings.Repeat(" ", len(before)) + "^" + strings.Repeat("~", max(1, marked)-1)
}

// maxErrors is how many errors of one VM are kept: a file of 1 MiB can hold a hundred thousand, and the generator
// must be quick with any file.
const maxErrors = 1000

// capped returns the first errors of errs, which are ordered, and one more that says how many are left out.
func capped(errs []Error) []Error {
	if len(errs) <= maxErrors {
		return errs
	}
	more := Error{errs[maxErrors].Position, fmt.Sprintf("and %d more errors from here on", len(errs)-maxErrors), ""}
	return append(errs[:maxErrors:maxErrors], more)
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
