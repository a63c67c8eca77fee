package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Node is a value of a configuration file that knows where it stands.
type Node struct {
	kind unstable.Kind
	// text is a string's value, or a number's or a boolean's spelling.
	text string
	// key and value are where the key and the value are written.
	key, value Position
	items      []*Node
	table      map[string]*Node
}

func newTable(at Position) *Node {
	return &Node{kind: unstable.Table, key: at, value: at, table: map[string]*Node{}}
}

// parse reads TOML into a tree. It returns errors for what is not TOML.
func parse(file *File) (*Node, []Error) {
	if !utf8.Valid(file.data) {
		at := 0
		for i := 0; i < len(file.data); {
			r, size := utf8.DecodeRune(file.data[i:])
			if r == utf8.RuneError && size == 1 {
				at = i
				break
			}
			i += size
		}
		return nil, []Error{{Position{file, span{at, 1}}, "this is not UTF-8", "save the file as UTF-8"}}
	}
	if bytes.HasPrefix(file.data, []byte("\ufeff")) {
		return nil, []Error{{Position{file, span{0, 3}}, "this begins with a byte order mark", "save the file as UTF-8 without one"}}
	}
	if p, many := tooManyKeys(file); many {
		return nil, []Error{{p, fmt.Sprintf("this file has more than %d keys", maxKeys), ""}}
	}
	// The tree below takes what it is given; the decoder refuses what TOML refuses, such as a key given twice.
	if err := toml.Unmarshal(file.data, &map[string]any{}); err != nil {
		return nil, []Error{syntaxError(file, err)}
	}
	b := builder{file: file, root: newTable(Position{file, span{0, 0}})}
	b.current = b.root
	b.parser.Reset(file.data)
	for b.parser.NextExpression() {
		b.expression(b.parser.Expression())
	}
	return b.root, nil
}

// maxKeys is how many keys a file may have. For each, the decoder looks through those before it, so that a megabyte of
// keys would hold the boot up for a minute.
const maxKeys = 4096

// tooManyKeys returns the place of the first key too many.
func tooManyKeys(file *File) (at Position, many bool) {
	if len(file.data) < 2*maxKeys { // a key and its dot
		return Position{}, false
	}
	var parser unstable.Parser
	parser.Reset(file.data)
	keys := 0
	var count func(n *unstable.Node)
	count = func(n *unstable.Node) {
		// The parts of a dotted key are its keys.
		if n.Kind == unstable.Key {
			keys++
		}
		for children := n.Children(); children.Next(); {
			count(children.Node())
		}
	}
	for parser.NextExpression() {
		e := parser.Expression()
		count(e)
		if keys > maxKeys {
			key := e.Key()
			key.Next()
			return Position{file, span{int(key.Node().Raw.Offset), int(key.Node().Raw.Length)}}, true
		}
	}
	return Position{}, false
}

func syntaxError(file *File, err error) Error {
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return Error{Position{file, span{}}, strings.TrimPrefix(err.Error(), "toml: "), ""}
	}
	row, column := decode.Position()
	offset := 0
	for range row - 1 {
		offset += strings.IndexByte(string(file.data[offset:]), '\n') + 1
	}
	return Error{
		Position{file, span{min(offset+column-1, len(file.data)), 1}},
		strings.TrimPrefix(decode.Error(), "toml: "),
		"see https://toml.io for the syntax",
	}
}

// builder turns the parser's expressions, which stand in the order of the file, into one tree.
type builder struct {
	file          *File
	parser        unstable.Parser
	root, current *Node
}

func (b *builder) at(r unstable.Range) Position {
	return Position{b.file, span{int(r.Offset), int(r.Length)}}
}

func (b *builder) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.KeyValue:
		b.keyValue(b.current, e)
	case unstable.Table:
		b.current = b.descend(b.root, e.Key())
	case unstable.ArrayTable:
		b.arrayTable(e)
	}
}

// arrayTable adds an element to the array that [[a.b]] names.
func (b *builder) arrayTable(e *unstable.Node) {
	var keys []*unstable.Node
	for it := e.Key(); it.Next(); {
		keys = append(keys, it.Node())
	}
	parent := b.root
	for _, k := range keys[:len(keys)-1] {
		parent = b.child(parent, k)
	}
	last := keys[len(keys)-1]
	array := parent.table[string(last.Data)]
	if array == nil {
		array = &Node{kind: unstable.Array, key: b.at(last.Raw), value: b.at(last.Raw)}
		parent.table[string(last.Data)] = array
	}
	b.current = newTable(b.at(last.Raw))
	array.items = append(array.items, b.current)
}

// child returns the table that key names below n, made when it is not there.
func (b *builder) child(n *Node, key *unstable.Node) *Node {
	c := n.table[string(key.Data)]
	if c == nil {
		c = newTable(b.at(key.Raw))
		n.table[string(key.Data)] = c
	}
	if c.kind == unstable.Array {
		return c.items[len(c.items)-1]
	}
	return c
}

func (b *builder) descend(n *Node, keys unstable.Iterator) *Node {
	for keys.Next() {
		n = b.child(n, keys.Node())
	}
	return n
}

func (b *builder) keyValue(table *Node, e *unstable.Node) {
	keys := e.Key()
	for keys.Next() {
		if keys.IsLast() {
			break
		}
		table = b.child(table, keys.Node())
	}
	last := keys.Node()
	n := b.convert(e.Value(), b.valueStart(last, e))
	n.key = b.at(last.Raw)
	table.table[string(last.Data)] = n
}

// valueStart finds the first byte of an expression's value: the parser keeps no range for arrays.
func (b *builder) valueStart(key, e *unstable.Node) Position {
	offset := int(key.Raw.Offset + key.Raw.Length)
	end := int(e.Raw.Offset + e.Raw.Length)
	for offset < end && strings.IndexByte(" \t=", b.file.data[offset]) >= 0 {
		offset++
	}
	return Position{b.file, span{offset, end - offset}}
}

func (b *builder) convert(v *unstable.Node, at Position) *Node {
	if v.Kind != unstable.InlineTable && v.Raw.Length > 0 {
		at = b.at(v.Raw)
	}
	n := &Node{kind: v.Kind, text: string(v.Data), key: at, value: at}
	switch v.Kind {
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				n.items = append(n.items, b.convert(it.Node(), at))
			}
		}
	case unstable.InlineTable:
		n.kind, n.table = unstable.Table, map[string]*Node{}
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				b.keyValue(n, it.Node())
			}
		}
	}
	return n
}

// merge returns over with what it does not say taken from under: tables merge by key, all else replaces.
func merge(under, over *Node) *Node {
	if under == nil || over == nil || under.kind != unstable.Table || over.kind != unstable.Table {
		if over == nil {
			return under
		}
		return over
	}
	merged := *over
	merged.table = maps.Clone(under.table)
	for key, value := range over.table {
		merged.table[key] = merge(under.table[key], value)
	}
	return &merged
}
