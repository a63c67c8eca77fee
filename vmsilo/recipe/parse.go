package recipe

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parser collects a recipe, and every mistake of its file.
type parser struct {
	unstable.Parser
	path   string
	recipe Recipe
	errs   []error
}

// parse returns the recipe that data, the content of the file path, holds. Its error names every mistake, each on a
// line of its own as PATH:LINE:COLUMN: message.
func parse(path string, data []byte) (*Recipe, error) {
	// The decoder refuses what TOML refuses, such as a key given twice. What it would accept is looked at below: it
	// takes SUITE for suite, and stops at the first wrong type.
	if err := toml.Unmarshal(data, &map[string]any{}); err != nil {
		var syntax *toml.DecodeError
		if !errors.As(err, &syntax) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		line, column := syntax.Position()
		return nil, fmt.Errorf("%s:%d:%d: %s", path, line, column, strings.TrimPrefix(syntax.Error(), "toml: "))
	}
	p := parser{path: path}
	p.Reset(data)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		key, at, dotted := keyOf(e)
		switch {
		case dotted:
			p.errorf(at, "a key or table of a recipe has one part; %q needs quotes around it", key)
			table = "?"
		case e.Kind == unstable.Table && key == "files":
			table = key
		case e.Kind != unstable.KeyValue:
			p.errorf(at, "unknown table %q; there is [files]", key)
			table = "?"
		case table == "files":
			p.file(key, at, e.Value())
		case table == "":
			p.key(key, at, e.Value())
		}
	}
	if p.recipe.Suite == "" {
		p.errs = append(p.errs, fmt.Errorf("%s:1:1: a recipe needs suite, like suite = \"trixie\"", path))
	}
	return &p.recipe, errors.Join(p.errs...)
}

// keyOf returns the key of an expression, where it stands, and whether it has several parts with dots between them.
func keyOf(e *unstable.Node) (key string, at *unstable.Node, dotted bool) {
	for it := e.Key(); it.Next(); {
		if at == nil {
			key, at = string(it.Node().Data), it.Node()
			continue
		}
		key, dotted = key+"."+string(it.Node().Data), true
	}
	return key, at, dotted
}

func (p *parser) errorf(at *unstable.Node, format string, args ...any) {
	start := p.Shape(at.Raw).Start
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %s", p.path, start.Line, start.Column, fmt.Sprintf(format, args...)))
}

// What values must look like: none begins with a dash, which would make it an option of mmdebstrap or of apt.
var (
	suite   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)
	mirror  = regexp.MustCompile(`^(deb(-src)? |[a-z+]+:/)[^\n]*$`)
	pkg     = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$`)
	oneLine = regexp.MustCompile(`^[^\x00]+$`)
)

// key takes a key of the recipe itself.
func (p *parser) key(key string, at, value *unstable.Node) {
	switch key {
	case "suite":
		p.recipe.Suite = p.text(key, at, value, suite)
	case "mirrors":
		p.recipe.Mirrors = p.list(key, at, value, mirror)
	case "packages":
		p.recipe.Packages = p.list(key, at, value, pkg)
	case "commands":
		p.recipe.Commands = p.list(key, at, value, oneLine)
	default:
		p.errorf(at, "unknown key %q; there are suite, mirrors, packages, commands and the table [files]", key)
	}
}

// file takes a line of [files]. A source is relative to the recipe.
func (p *parser) file(target string, at, value *unstable.Node) {
	source := p.text(target, at, value, oneLine)
	if !filepath.IsAbs(target) || filepath.Clean(target) != target || target == "/" {
		p.errorf(at, "%q must be an absolute path without . and .. parts", target)
	}
	if !filepath.IsAbs(source) {
		source = filepath.Join(filepath.Dir(p.path), source)
	}
	p.recipe.Files = append(p.recipe.Files, File{Source: source, Target: target})
}

func (p *parser) list(key string, at, value *unstable.Node, want *regexp.Regexp) (list []string) {
	if value.Kind != unstable.Array {
		p.errorf(at, "%s must be a list of strings", key)
		return nil
	}
	for it := value.Children(); it.Next(); {
		if it.Node().Kind != unstable.Comment {
			list = append(list, p.text(key, at, it.Node(), want))
		}
	}
	return list
}

// text returns a string that want matches. at is where an error stands if the value has no place of its own.
func (p *parser) text(key string, at, value *unstable.Node, want *regexp.Regexp) string {
	if value.Raw.Length > 0 {
		at = value
	}
	if value.Kind != unstable.String {
		p.errorf(at, "%s must hold strings", key)
	} else if !want.Match(value.Data) {
		p.errorf(at, "%q will not do for %s", value.Data, key)
	}
	return string(value.Data)
}
