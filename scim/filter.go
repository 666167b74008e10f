package scim

import (
	"strings"
	"time"
)

// Bounds of a filter: what directories send has a few terms.
const (
	maxFilter      = 4096 // bytes
	maxFilterDepth = 16   // of what stands in parentheses and brackets
	maxFilterTerms = 64   // comparisons
)

// view gives the value of one attribute of a resource as JSON has it: nil for none, string, bool, time.Time, map, list
// of maps.
type view func(attribute string) any

// filter says which resources are meant (RFC 7644 §3.4.2.2).
type filter interface {
	matches(v view) bool
}

type (
	both    struct{ left, right filter }
	either  struct{ left, right filter }
	negated struct{ inner filter }
	// comparison compares a value with a constant.
	comparison struct {
		at    target
		op    string // eq ne co sw ew gt ge lt le pr
		value any    // string, bool, time.Time, or nil for null
	}
	// inside asks for one value of a multi-valued attribute that has all of what a filter wants.
	inside struct {
		at    target
		inner filter
	}
)

// target is an attribute, or a sub-attribute of it.
type target struct {
	attribute *attribute
	sub       *attribute // nil = none
}

// leaf is what the values at t are.
func (t target) leaf() *attribute {
	if t.sub != nil {
		return t.sub
	}
	return t.attribute
}

func (f both) matches(v view) bool    { return f.left.matches(v) && f.right.matches(v) }
func (f either) matches(v view) bool  { return f.left.matches(v) || f.right.matches(v) }
func (f negated) matches(v view) bool { return !f.inner.matches(v) }

func (f inside) matches(v view) bool {
	for _, value := range listOf(v(f.at.attribute.name)) {
		if object, ok := value.(map[string]any); ok && f.inner.matches(viewOf(object)) {
			return true
		}
	}
	return false
}

func viewOf(object map[string]any) view { return func(name string) any { return object[name] } }

func (f comparison) matches(v view) bool {
	switch {
	case f.op == "pr":
		return f.present(v)
	case f.op == "ne":
		return !f.equal(v)
	case f.op == "eq":
		return f.equal(v)
	}
	for _, value := range f.at.values(v) {
		if f.holds(value) {
			return true
		}
	}
	return false
}

func (f comparison) present(v view) bool {
	for _, value := range f.at.values(v) {
		if !empty(value) {
			return true
		}
	}
	return false
}

// equal reports whether some value is the constant; null is what has no value.
func (f comparison) equal(v view) bool {
	if f.value == nil {
		return !f.present(v)
	}
	for _, value := range f.at.values(v) {
		if at, ok := value.(time.Time); ok {
			if want, ok := f.value.(time.Time); ok && at.Equal(want) {
				return true
			}
			continue
		}
		if f.fold(value) == f.fold(f.value) {
			return true
		}
	}
	return false
}

// fold makes texts that differ in case alone the same, where that does not matter.
func (f comparison) fold(value any) any {
	if text, ok := value.(string); ok && !f.at.leaf().exact {
		return strings.ToLower(text)
	}
	return value
}

func (f comparison) holds(value any) bool {
	if at, ok := value.(time.Time); ok {
		want, ok := f.value.(time.Time)
		return ok && ordered(f.op, at.Compare(want))
	}
	is, ok1 := f.fold(value).(string)
	want, ok2 := f.fold(f.value).(string)
	if !ok1 || !ok2 {
		return false
	}
	switch f.op {
	case "co":
		return strings.Contains(is, want)
	case "sw":
		return strings.HasPrefix(is, want)
	case "ew":
		return strings.HasSuffix(is, want)
	}
	return ordered(f.op, strings.Compare(is, want))
}

func ordered(op string, order int) bool {
	switch op {
	case "gt":
		return order > 0
	case "ge":
		return order >= 0
	case "lt":
		return order < 0
	case "le":
		return order <= 0
	}
	return false
}

// values returns the values at t, each of a multi-valued attribute for itself.
func (t target) values(v view) []any {
	list := listOf(v(t.attribute.name))
	if t.sub == nil {
		return list
	}
	var values []any
	for _, value := range list {
		if object, ok := value.(map[string]any); ok {
			if inner := object[t.sub.name]; inner != nil {
				values = append(values, inner)
			}
		}
	}
	return values
}

func listOf(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	}
	return []any{value}
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// mentions reports whether f depends on an attribute.
func mentions(f filter, name string) bool {
	switch f := f.(type) {
	case both:
		return mentions(f.left, name) || mentions(f.right, name)
	case either:
		return mentions(f.left, name) || mentions(f.right, name)
	case negated:
		return mentions(f.inner, name)
	case comparison:
		return f.at.attribute.name == name
	case inside:
		return f.at.attribute.name == name
	}
	return false
}

// pinned returns the text that f demands of an attribute whatever else it says, such as that of a user name: an index
// can be asked for it. The sub-attribute counts where there is one.
func pinned(f filter, name, sub string) (text string, ok bool) {
	switch f := f.(type) {
	case both:
		if text, ok = pinned(f.left, name, sub); ok {
			return text, ok
		}
		return pinned(f.right, name, sub)
	case comparison:
		text, ok = f.value.(string)
		return text, ok && f.op == "eq" && f.at.attribute.name == name && (f.at.sub == nil || f.at.sub.name == sub)
	case inside:
		if f.at.attribute.name == name {
			return pinned(f.inner, sub, "")
		}
	}
	return "", false
}
