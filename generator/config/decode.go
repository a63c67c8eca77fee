package config

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// field is one key of a table, and how its value is decoded and stored.
type field struct {
	name   string
	decode func(*Node)
}

// decoder turns nodes into values and collects what is wrong with them.
type decoder struct {
	hypervisors []Hypervisor
	errs        []Error
}

func (d *decoder) errorf(at Position, hint, format string, args ...any) {
	d.errs = append(d.errs, Error{at, fmt.Sprintf(format, args...), hint})
}

// table decodes each key of a table by its field.
func (d *decoder) table(fields ...field) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.Table {
			d.wrongType(n, "a table")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(n.table)) {
			if i := slices.IndexFunc(fields, func(f field) bool { return f.name == key }); i >= 0 {
				fields[i].decode(n.table[key])
			} else {
				d.unknownKey(n.table[key].key, key, fields)
			}
		}
	}
}

// tables decodes a table whose keys are names and whose values are tables, in byte order of the names.
func (d *decoder) tables(decode func(name string, n *Node)) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.Table {
			d.wrongType(n, "a table")
			return
		}
		for _, name := range slices.Sorted(maps.Keys(n.table)) {
			decode(name, n.table[name])
		}
	}
}

// atMost decodes a table that has no more keys than a VM has slots for what they describe.
func (d *decoder) atMost(limit int, what string, decode func(*Node)) func(*Node) {
	return func(n *Node) {
		if len(n.table) > limit {
			d.errorf(n.key, "", "%d %s are more than the %d that a VM has slots for", len(n.table), what, limit)
			return
		}
		decode(n)
	}
}

// required finds keys that a table lacks.
func (d *decoder) required(n *Node, keys ...string) {
	for _, key := range keys {
		if n.kind == unstable.Table && n.table[key] == nil {
			d.errorf(n.key, "", "%q is missing here", key)
		}
	}
}

func (d *decoder) unknownKey(at Position, key string, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	d.errorf(at, didYouMean(key, names), "unknown key %q", key)
}

// kindNames are the names that TOML gives its types.
var kindNames = map[unstable.Kind]string{
	unstable.String: "a string", unstable.Bool: "a boolean", unstable.Integer: "an integer", unstable.Float: "a float",
	unstable.Array: "an array", unstable.Table: "a table", unstable.LocalDate: "a date", unstable.LocalTime: "a time",
	unstable.LocalDateTime: "a date and time", unstable.DateTime: "a date and time",
}

func (d *decoder) wrongType(n *Node, want string) {
	d.errorf(n.value, "", "this must be %s, and is %s", want, kindNames[n.kind])
}

func (d *decoder) bool(to *bool) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.Bool {
			d.wrongType(n, "true or false")
			return
		}
		*to = n.text == "true"
	}
}

func (d *decoder) integer(to *int, low, high int) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.Integer {
			d.wrongType(n, "an integer")
			return
		}
		// ParseInt takes TOML's prefixes and underscores when its base is 0; a plain sign too.
		v, err := strconv.ParseInt(n.text, 0, 64)
		if err != nil || v < int64(low) || v > int64(high) {
			d.errorf(n.value, "", "%s is out of range: %d to %d", n.text, low, high)
			return
		}
		*to = int(v)
	}
}

// text decodes a string; check returns what is wrong with it, or "".
func (d *decoder) text(to *string, check func(string) string) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.String {
			d.wrongType(n, "a string")
			return
		}
		if problem := checkText(n.text, check); problem != "" {
			d.errorf(n.value, "", "%s", problem)
			return
		}
		*to = n.text
	}
}

// maxText is how long a string may be, in bytes: with what is put around it, an argument of a program has 128 KiB at
// most, MAX_ARG_STRLEN of linux/binfmts.h.
const maxText = 64 << 10

// checkText refuses what no argument, path or unit file can carry: NUL, and the characters of Unicode that are none,
// with which systemd drops a line of a unit file (unichar_is_valid() of its basic/utf8.c).
func checkText(s string, check func(string) string) string {
	none := func(r rune) bool { return r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe }
	switch {
	case strings.ContainsRune(s, 0):
		return "a string cannot hold NUL"
	case strings.ContainsFunc(s, none):
		return "a string cannot hold what is no character of Unicode"
	case len(s) > maxText:
		return fmt.Sprintf("a string cannot hold %d bytes: %d at most", len(s), maxText)
	}
	if check == nil {
		return ""
	}
	return check(s)
}

// texts decodes an array of strings; it stores all of them or, when one is wrong, none.
func (d *decoder) texts(to *[]string, check func(string) string) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.Array {
			d.wrongType(n, "an array of strings")
			return
		}
		before := len(d.errs)
		all := make([]string, len(n.items))
		for i, item := range n.items {
			d.text(&all[i], check)(item)
		}
		if len(d.errs) == before {
			*to = all
		}
	}
}

// names decodes an array of VMs' names, each given once.
func (d *decoder) names(to *[]string) func(*Node) {
	return func(n *Node) {
		d.texts(to, checkName)(n)
		seen := map[string]bool{}
		for at, name := range *to {
			if seen[name] {
				d.errorf(n.items[at].value, "", "%q stands here twice", name)
			}
			seen[name] = true
		}
	}
}

// textOrTexts decodes an array of strings, which may be one string where it has one alone.
func (d *decoder) textOrTexts(to *[]string, check func(string) string) func(*Node) {
	return func(n *Node) {
		if n.kind == unstable.String {
			n = &Node{kind: unstable.Array, key: n.key, value: n.value, items: []*Node{n}}
		}
		d.texts(to, check)(n)
	}
}

// item returns the nth value of what textOrTexts has decoded.
func (n *Node) item(at int) *Node {
	if n.kind == unstable.String {
		return n
	}
	return n.items[at]
}

func (d *decoder) oneOf(to *string, words ...string) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.String {
			d.wrongType(n, "a string")
			return
		}
		if !slices.Contains(words, n.text) {
			d.errorf(n.value, didYouMean(n.text, words), "%q is none of %s", n.text, quotedList(words))
			return
		}
		*to = n.text
	}
}

func quotedList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}

// maxSize is more than any machine has, and can be counted in bytes and in sectors by every VMM.
const maxSize = 1 << 50

// size decodes a number of bytes: "512M", "1G"; K, M, G and T are powers of 1024. VMMs count in MiB.
func (d *decoder) size(to *int64, low int64) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.String {
			d.errorf(n.value, `write a string such as "1G"`, "this must be a size, and is %s", kindNames[n.kind])
			return
		}
		v, ok := ParseSize(n.text)
		switch {
		case !ok:
			d.errorf(n.value, `a size is a whole number followed by K, M, G or T, such as "512M"`, "%q is not a size", n.text)
		case v%(1<<20) != 0:
			d.errorf(n.value, "", "%q is not a whole number of mebibytes", n.text)
		case v > maxSize:
			d.errorf(n.value, "", "%q is too large: at most %dT", n.text, int64(maxSize>>40))
		case v < low:
			d.errorf(n.value, "", "%q is too small: at least %dM", n.text, low>>20)
		default:
			*to = v
		}
	}
}

// ParseSize reads a size as vmsilo.toml(5) writes it: a number of bytes, or of the powers of 1024 that K, M, G and T are.
func ParseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "KMGT")
	if len(s)-len(digits) > 1 {
		return 0, false
	}
	shift := 0
	if digits != s {
		shift = 10 * (strings.IndexByte("KMGT", s[len(s)-1]) + 1)
	}
	v, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || v > math.MaxInt64>>shift {
		return 0, false
	}
	return int64(v) << shift, true
}

func (d *decoder) timeSpan(to *TimeSpan) func(*Node) {
	return func(n *Node) {
		if n.kind != unstable.String {
			d.errorf(n.value, `write a string such as "90s"`, "this must be a time span, and is %s", kindNames[n.kind])
			return
		}
		span, ok := parseTimeSpan(n.text)
		if !ok {
			d.errorf(n.value, `see systemd.time(7): "90s", "5min", "1h 30min", "infinity"`, "%q is not a time span", n.text)
			return
		}
		*to = span
	}
}

func absolute(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q has a control character in it", s)
	}
	if !filepath.IsAbs(s) {
		return fmt.Sprintf("%q is not an absolute path", s)
	}
	return ""
}
