package latchward

import "strings"

// ParsePermissionQuery reads a query: permissions, each exactly one such as orders.read, joined by AND and OR, negated
// by NOT, and grouped by parentheses. NOT binds more tightly than AND, and AND more tightly than OR. The words are
// upper case and stand between spaces, tabs, line ends or parentheses.
//
// It returns an Error of code invalid that names field, the position (of the first byte at fault, counted from 1) and
// what was expected there: for anything else, such as a list, a wildcard or an empty text, and for a query of more
// than MaxQueryLength bytes, as written or in its canonical form, MaxQueryOperands permissions or MaxQueryNesting
// levels of parentheses. It takes time in proportion to the length of text.
func ParsePermissionQuery(field, text string) (PermissionQuery, error) {
	if len(text) > MaxQueryLength {
		return PermissionQuery{}, queryTooLong(field)
	}
	p := queryParser{field: field, text: text}
	p.next()
	root, err := p.alternatives()
	if err != nil {
		return PermissionQuery{}, err
	}
	if p.word != "" {
		return PermissionQuery{}, p.unexpected("AND, OR or the end")
	}
	asked := &askedQuery{text: root.text(), root: root}
	if len(asked.text) > MaxQueryLength {
		return PermissionQuery{}, queryTooLong(field) // the canonical form must be one that is read again
	}
	return PermissionQuery{asked}, nil
}

func queryTooLong(field string) error {
	return Invalid(field, "must have at most %d bytes, with one space around each word", MaxQueryLength)
}

// queryParser reads a query by recursive descent; only parentheses make it recurse.
type queryParser struct {
	field, text string
	start       int    // of word in text
	end         int    // behind word
	word        string // being looked at; "" at the end of text
	operands    int
	nesting     int
}

const (
	querySpace       = " \t\r\n"
	queryParentheses = "()"
)

// next moves to the next word: a parenthesis, or everything up to a space or parenthesis.
func (p *queryParser) next() {
	rest := strings.TrimLeft(p.text[p.end:], querySpace)
	p.start = len(p.text) - len(rest)
	length := strings.IndexAny(rest, querySpace+queryParentheses)
	switch {
	case length < 0:
		length = len(rest)
	case length == 0:
		length = 1
	}
	p.word, p.end = rest[:length], p.start+length
}

// alternatives reads operands of OR.
func (p *queryParser) alternatives() (*expression, error) {
	return p.series("OR", opOr, func() (*expression, error) { return p.series("AND", opAnd, p.operand) })
}

// series reads one or more operands with a word between them.
func (p *queryParser) series(word string, op operator, read func() (*expression, error)) (*expression, error) {
	var operands []*expression
	for {
		operand, err := read()
		if err != nil {
			return nil, err
		}
		operands = append(operands, operand)
		if p.word != word {
			return combine(op, operands), nil
		}
		p.next()
	}
}

// operand reads a permission or a group, with any number of NOT before it.
func (p *queryParser) operand() (*expression, error) {
	negated := false
	for ; p.word == "NOT"; p.next() {
		negated = !negated
	}
	read := p.permission
	if p.word == "(" {
		read = p.group
	}
	e, err := read()
	if err == nil && negated {
		e = negate(e)
	}
	return e, err
}

func (p *queryParser) permission() (*expression, error) {
	if !validPermission(p.word) {
		return nil, p.unexpected("a permission like orders.read, NOT or (")
	}
	if p.operands++; p.operands > MaxQueryOperands {
		return nil, Invalid(p.field, "must name at most %d permissions; position %d is past that",
			MaxQueryOperands, p.start+1)
	}
	e := &expression{op: opHeld, permission: p.word}
	p.next()
	return e, nil
}

func (p *queryParser) group() (*expression, error) {
	if p.nesting++; p.nesting > MaxQueryNesting {
		return nil, Invalid(p.field, "must have at most %d levels of parentheses; position %d is past that",
			MaxQueryNesting, p.start+1)
	}
	p.next()
	e, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if p.word != ")" {
		return nil, p.unexpected("AND, OR or )")
	}
	p.nesting--
	p.next()
	return e, nil
}

// unexpected returns the error for the word being looked at. It does not repeat what it does not know: a secret may
// have been pasted into the wrong field.
func (p *queryParser) unexpected(expected string) error {
	return Invalid(p.field, "at position %d: expected %s, found %s", p.start+1, expected, p.found())
}

func (p *queryParser) found() string {
	word := p.word
	switch upper := strings.ToUpper(word); {
	case word == "":
		return "the end"
	case word == "(" || word == ")" || word == "AND" || word == "OR" || word == "NOT":
		return word
	case upper == "AND" || upper == "OR" || upper == "NOT":
		return "that word in lower case: write " + upper
	case strings.Contains(word, "*"):
		return "a wildcard: those belong in grants, a query names single permissions"
	case strings.ContainsAny(word, ",;"):
		return "a list: join permissions with AND or OR"
	case strings.ContainsAny(word, "&|!"):
		return "a sign: write AND, OR and NOT"
	case validPermission(word):
		return "another permission: join them with AND or OR"
	default:
		return "text that is no permission in lower case"
	}
}
