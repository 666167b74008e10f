package scim

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// parser reads a filter or a path about one kind of resource. Faults have the kind of scimType that it was made for.
type parser struct {
	text       string
	at         int // of the next byte
	depth      int
	terms      int
	of         *definition
	attributes []*attribute // that names stand for: of the resource, or inside of brackets those of a value
	fault      scimType
}

// parseFilter reads a filter about a kind of resource; faults are invalidFilter.
func parseFilter(of *definition, text string) (filter, error) {
	p := &parser{text: text, of: of, attributes: of.attributes, fault: invalidFilter}
	if err := p.check(); err != nil {
		return nil, err
	}
	f, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.wrong("%q was not expected", p.text[p.at:])
	}
	return f, nil
}

func (p *parser) check() error {
	if len(p.text) > maxFilter {
		return bad(p.fault, "The filter has more than %d bytes.", maxFilter)
	}
	if !utf8.ValidString(p.text) {
		return bad(p.fault, "The filter is not UTF-8.")
	}
	return nil
}

func (p *parser) wrong(format string, args ...any) error {
	return bad(p.fault, "At character %d: "+format+".", append([]any{p.at + 1}, args...)...)
}

func (p *parser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// take steps over one character, if it is the next.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// word reads letters, digits and what else names and operators are made of.
func (p *parser) word() string {
	p.space()
	start := p.at
	for p.at < len(p.text) && isNameByte(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.:$", c) >= 0
}

// keyword steps over a word, in any case, if it is the next.
func (p *parser) keyword(word string) bool {
	before := p.at
	if strings.EqualFold(p.word(), word) {
		return true
	}
	p.at = before
	return false
}

func (p *parser) disjunction() (filter, error) {
	left, err := p.conjunction()
	for err == nil && p.keyword("or") {
		var right filter
		right, err = p.conjunction()
		left = either{left, right}
	}
	return left, err
}

func (p *parser) conjunction() (filter, error) {
	left, err := p.term()
	for err == nil && p.keyword("and") {
		var right filter
		right, err = p.term()
		left = both{left, right}
	}
	return left, err
}

func (p *parser) term() (filter, error) {
	before := p.at
	if p.keyword("not") {
		if p.take('(') {
			inner, err := p.enclosed(p.attributes, ')')
			return negated{inner}, err
		}
		p.at = before
	}
	if p.take('(') {
		return p.enclosed(p.attributes, ')')
	}
	return p.comparison()
}

// enclosed reads a filter up to the end of its parentheses or brackets, in which names stand for those attributes.
func (p *parser) enclosed(attributes []*attribute, end byte) (filter, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, p.wrong("the filter is more than %d levels deep", maxFilterDepth)
	}
	outer := p.attributes
	p.attributes = attributes
	f, err := p.disjunction()
	p.attributes = outer
	p.depth--
	if err == nil && !p.take(end) {
		err = p.wrong("%q is missing", string(end))
	}
	return f, err
}

func (p *parser) comparison() (filter, error) {
	if p.terms++; p.terms > maxFilterTerms {
		return nil, p.wrong("the filter has more than %d comparisons", maxFilterTerms)
	}
	at, err := p.target()
	if err != nil {
		return nil, err
	}
	if p.take('[') {
		if !at.attribute.multi || at.sub != nil || len(at.attribute.sub) == 0 {
			return nil, p.wrong("%s has no values to choose from", at.attribute.name)
		}
		return p.chosen(at)
	}
	return p.operation(at)
}

// chosen reads what is asked of one value of a multi-valued attribute. Microsoft Entra ID asks for a part of the value
// behind the brackets, where RFC 7644 has it inside.
func (p *parser) chosen(at target) (filter, error) {
	inner, err := p.enclosed(at.attribute.sub, ']')
	if err != nil || !p.take('.') {
		return inside{at, inner}, err
	}
	part := target{attribute: find(at.attribute.sub, p.word())}
	if part.attribute == nil || part.attribute.ignored {
		return nil, p.wrong("%s has no such part", at.attribute.name)
	}
	of, err := p.operation(part)
	return inside{at, both{inner, of}}, err
}

// operation reads the operator of a comparison, and what it compares with.
func (p *parser) operation(at target) (filter, error) {
	op := strings.ToLower(p.word())
	switch op {
	case "pr":
		return comparison{at: at, op: op}, nil
	case "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le":
		return p.against(at, op)
	case "":
		return nil, p.wrong("an operator such as eq is missing")
	}
	return nil, p.wrong("there is no operator %q", op)
}

// target reads the path of an attribute that filters can be about.
func (p *parser) target() (target, error) {
	name := p.word()
	if name == "" {
		return target{}, p.wrong("the name of an attribute is missing")
	}
	at, known := resolve(p.of, p.attributes, name)
	switch {
	case strings.EqualFold(name, "password"):
		return at, &fault{status: 403, kind: sensitive, text: "Passwords are not to be asked for."}
	case !known || at.leaf().ignored:
		return at, p.wrong("there is no attribute %q", name)
	}
	return at, nil
}

// resolve returns what a path of names stands for, with or without the URN of its schema in front.
func resolve(of *definition, attributes []*attribute, name string) (target, bool) {
	if inside := afterPrefix(name, of.schema+":"); inside != "" {
		name = inside
	}
	first, rest, nested := strings.Cut(name, ".")
	at := target{attribute: find(attributes, first)}
	if at.attribute == nil {
		return at, false
	}
	if !nested {
		return at, true
	}
	if at.attribute.ignored {
		return at, true
	}
	at.sub = find(at.attribute.sub, rest)
	return at, at.sub != nil
}

// against reads the constant of a comparison.
func (p *parser) against(at target, op string) (filter, error) {
	literal, err := p.literal()
	if err != nil {
		return nil, err
	}
	if at.sub == nil && at.attribute.kind == complexes && literal != nil {
		if at.sub = at.attribute.value(); at.sub == nil {
			return nil, p.wrong("%s has parts: name one of them", at.attribute.name)
		}
	}
	f := comparison{at: at, op: op, value: literal}
	if literal == nil {
		if op != "eq" && op != "ne" {
			return nil, p.wrong("%s cannot compare with null", op)
		}
		return f, nil
	}
	f.value, err = p.typed(at.leaf(), op, literal)
	return f, err
}

// typed returns the constant as the attribute has its values.
func (p *parser) typed(a *attribute, op string, literal any) (any, error) {
	word, isText := literal.(string)
	switch a.kind {
	case boolean:
		if op != "eq" && op != "ne" {
			return nil, p.wrong("%s cannot compare true and false", op)
		}
		if is, ok := asBool(literal); ok {
			return is, nil
		}
		return nil, p.wrong("%s is true or false", a.name)
	case moment:
		at, err := time.Parse(time.RFC3339, word)
		if err != nil || op == "co" || op == "sw" || op == "ew" {
			return nil, p.wrong("%s is a time like 2026-01-31T12:00:00Z, and has an order only", a.name)
		}
		return at, nil
	}
	if !isText {
		return nil, p.wrong("%s is a text", a.name)
	}
	return word, nil
}

// literal reads a constant of JSON: a text, true, false or null; numbers are no value of anything here.
func (p *parser) literal() (any, error) {
	if p.space(); p.at < len(p.text) && p.text[p.at] == '"' {
		return p.quoted()
	}
	start := p.at
	switch word := p.word(); strings.ToLower(word) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	}
	p.at = start
	return nil, p.wrong("a text in double quotes, true, false or null is missing")
}

func (p *parser) quoted() (any, error) {
	start := p.at
	for p.at++; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case '"':
			p.at++
			var value string
			if json.Unmarshal([]byte(p.text[start:p.at]), &value) != nil {
				return nil, p.wrong("the text before this is not written as in JSON")
			}
			return value, nil
		}
	}
	p.at = len(p.text)
	return nil, p.wrong("a text has no end")
}

// asBool reads what directories send for true and false: Microsoft Entra ID sends texts.
func asBool(value any) (is, ok bool) {
	switch value := value.(type) {
	case bool:
		return value, true
	case string:
		switch strings.ToLower(value) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// path is what an operation of a PATCH is about (RFC 7644 §3.5.2): an attribute, one of its values, a part of that.
type path struct {
	target
	chosen filter // of values of a multi-valued attribute; nil = all of it
}

// parsePath reads a path; faults are invalidPath. Attributes that are not kept are found, too.
func parsePath(of *definition, text string) (path, error) {
	p := &parser{text: text, of: of, attributes: of.attributes, fault: invalidPath}
	if err := p.check(); err != nil {
		return path{}, err
	}
	if name := p.word(); extends(name) {
		return path{target: target{attribute: &attribute{name: name, ignored: true}}}, nil
	}
	p.at = 0
	at, known := resolve(of, of.attributes, p.word())
	if !known {
		return path{}, p.wrong("there is no attribute %q", text)
	}
	found := path{target: at}
	if p.take('[') {
		if at.attribute.ignored {
			return found, nil
		}
		if !at.attribute.multi || at.sub != nil || len(at.attribute.sub) == 0 {
			return found, p.wrong("%s has no values to choose from", at.attribute.name)
		}
		var err error
		if found.chosen, err = p.enclosed(at.attribute.sub, ']'); err != nil {
			return found, err
		}
		if p.take('.') {
			name := p.word()
			if found.sub = find(at.attribute.sub, name); found.sub == nil {
				return found, p.wrong("there is no attribute %q", name)
			}
		}
	}
	if p.space(); p.at < len(p.text) {
		return found, p.wrong("%q was not expected", p.text[p.at:])
	}
	return found, nil
}

// extends reports whether a name is that of an extension's schema, or of something in it, that is known and not kept.
func extends(name string) bool {
	return len(name) >= len(enterpriseSchema) && strings.EqualFold(name[:len(enterpriseSchema)], enterpriseSchema) &&
		(len(name) == len(enterpriseSchema) || strings.IndexByte(":.", name[len(enterpriseSchema)]) >= 0)
}
