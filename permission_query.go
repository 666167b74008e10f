package latchward

import (
	"slices"
	"strings"
)

// Bounds of permission queries, so that the time to read and to answer one is bounded, too.
const (
	MaxQueryLength   = 2048 // bytes
	MaxQueryOperands = 100  // permissions, counted as often as they are named
	MaxQueryNesting  = 32   // parentheses within parentheses
)

// PermissionQuery is a condition upon the permissions that somebody holds, such as
// "(orders.read OR orders.admin) AND NOT legacy.x" (B-09). The zero value asks nothing and allows everybody. It is
// as cheap to copy as a pointer, never changes, and is safe for concurrent use. [ParsePermissionQuery] and [AllOf]
// make one.
//
// NOT keeps nobody out who can give up a permission: a token that is narrowed to less than its owner holds satisfies
// "NOT legacy.x" where its owner does not.
type PermissionQuery struct{ asked *askedQuery }

// askedQuery is what a query that asks something is made of.
type askedQuery struct {
	text string // canonical
	root *expression
	err  error // why it is none, root is nil then
}

// operator says what an expression is. The more tightly one binds, the earlier it stands.
type operator byte

const (
	opHeld operator = iota // permission is held
	opNot                  // its one operand, never an opNot itself, is not so
	opAnd                  // each of its two or more operands is so
	opOr                   // one of its two or more operands is so
)

// expression is a part of a query. It never changes once made.
type expression struct {
	op         operator
	permission string // of opHeld
	operands   []*expression
}

// AllOf returns the query that asks for each of the permissions; without any it asks nothing. A list that no query
// can be made of, because of a text that is no permission or because the query would break a bound of
// [ParsePermissionQuery], makes one that allows nobody, and [PermissionQuery.Validate] says why.
func AllOf(permissions ...string) PermissionQuery {
	if len(permissions) == 0 {
		return PermissionQuery{}
	}
	const field = "permissions"
	// Checked one by one first, or a text such as "a.b OR c.d" would be read as more than one permission.
	err := ValidatePermissions(field, permissions)
	if err == nil {
		var q PermissionQuery
		if q, err = ParsePermissionQuery(field, strings.Join(permissions, " AND ")); err == nil {
			return q
		}
	}
	return PermissionQuery{&askedQuery{text: "invalid", err: err}}
}

// IsZero reports whether q asks nothing.
func (q PermissionQuery) IsZero() bool { return q.asked == nil }

// Validate returns why q allows nobody: an Error of code invalid about a list that [AllOf] could make no query of.
// Every other query is valid.
func (q PermissionQuery) Validate() error {
	if q.IsZero() {
		return nil
	}
	return q.asked.err
}

// String returns q in its canonical form: one space around each word, no parentheses and no NOT that change nothing.
// It is parsed to the same query again, unless q asks nothing, for which it is "", or is not valid.
func (q PermissionQuery) String() string {
	if q.IsZero() {
		return ""
	}
	return q.asked.text
}

// Allows reports whether what r holds satisfies q. It allocates nothing, and stops as soon as the answer is known.
func (r *Rights) Allows(q PermissionQuery) bool {
	return q.IsZero() || q.asked.err == nil && q.asked.root.allows(r)
}

func (e *expression) allows(r *Rights) bool {
	switch e.op {
	case opHeld:
		return r.Has(e.permission)
	case opNot:
		return !e.operands[0].allows(r)
	}
	enough := e.op == opOr // what settles an OR is one that is so, and an AND one that is not
	for _, operand := range e.operands {
		if operand.allows(r) == enough {
			return enough
		}
	}
	return !enough
}

// Shortfall is why rights do not satisfy a query. The zero value: they do.
type Shortfall struct {
	// Needed is what is left of the query when everything is dropped that is satisfied already, in canonical form.
	// Where any one of several permissions would do, all of them are in it, as operands of OR. Whatever changes,
	// nobody is allowed whom Needed does not allow; and unless the query wants one permission both held and not held,
	// whoever makes Needed true by a change of Lacking and Unwanted alone is allowed.
	Needed string
	// Lacking are the permissions that Needed wants held. None of them is. Each is named once, in the order of Needed.
	Lacking []string
	// Unwanted are the permissions that Needed wants not held. All of them are. Each is named once, in the order of
	// Needed.
	Unwanted []string
}

// Missing explains [Rights.Allows]: it returns the zero Shortfall when r allows q, and what r falls short of
// otherwise. For a query that is not valid, Needed is "invalid" and nothing is listed.
func (r *Rights) Missing(q PermissionQuery) Shortfall {
	if q.IsZero() || q.asked.err != nil {
		return Shortfall{Needed: q.String()}
	}
	rest := q.asked.root.without(r, true)
	if rest == nil {
		return Shortfall{}
	}
	s := Shortfall{Needed: rest.text()}
	s.add(rest, true)
	return s
}

// without returns what is left of e when all is dropped that has the wanted value already; nil when e has.
func (e *expression) without(r *Rights, wanted bool) *expression {
	switch e.op {
	case opHeld:
		if r.Has(e.permission) == wanted {
			return nil
		}
		return e
	case opNot:
		if rest := e.operands[0].without(r, !wanted); rest != nil {
			return negate(rest)
		}
		return nil
	}
	oneIsEnough := (e.op == opOr) == wanted
	var rests []*expression
	for _, operand := range e.operands {
		switch rest := operand.without(r, wanted); {
		case rest != nil:
			rests = append(rests, rest)
		case oneIsEnough:
			return nil
		}
	}
	if len(rests) == 0 {
		return nil
	}
	return combine(e.op, rests)
}

// add lists the permissions of e, which is wanted to have a value that no part of it has.
func (s *Shortfall) add(e *expression, wanted bool) {
	if e.op == opHeld {
		list := &s.Lacking
		if !wanted {
			list = &s.Unwanted
		}
		if !slices.Contains(*list, e.permission) {
			*list = append(*list, e.permission)
		}
		return
	}
	for _, operand := range e.operands {
		s.add(operand, wanted != (e.op == opNot))
	}
}

// negate returns NOT e.
func negate(e *expression) *expression {
	if e.op == opNot {
		return e.operands[0]
	}
	return &expression{op: opNot, operands: []*expression{e}}
}

// combine joins one or more operands by opAnd or opOr.
func combine(op operator, operands []*expression) *expression {
	if len(operands) == 1 {
		return operands[0]
	}
	return &expression{op: op, operands: operands}
}

// text returns e in canonical form.
func (e *expression) text() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e *expression) write(b *strings.Builder) {
	switch e.op {
	case opHeld:
		b.WriteString(e.permission)
	case opNot:
		b.WriteString("NOT ")
		e.operands[0].writeWithin(b, opNot)
	default:
		for i, operand := range e.operands {
			if i > 0 {
				b.WriteString(e.op.word())
			}
			operand.writeWithin(b, e.op)
		}
	}
}

// writeWithin writes an operand of the outer operator, in parentheses where the outer one binds more tightly.
func (e *expression) writeWithin(b *strings.Builder, outer operator) {
	if e.op <= outer {
		e.write(b)
		return
	}
	b.WriteByte('(')
	e.write(b)
	b.WriteByte(')')
}

func (o operator) word() string {
	if o == opAnd {
		return " AND "
	}
	return " OR "
}
