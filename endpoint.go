package latchward

import (
	"fmt"
	"strings"
)

// Bounds of endpoint patterns.
const (
	MaxPatterns     = 200  // patterns in one list
	MaxPatternBytes = 1024 // bytes of one pattern, methods included
)

// Pattern is one endpoint that a token may call: methods, and a path with wildcards. It is a value made by
// [ParsePattern]; the zero Pattern matches nothing, so Patterns{{}} denies every request.
type Pattern struct {
	text    string    // as it was written
	methods methodSet // 0 = all methods
	path    string    // the path without its tail; a "*" in it stands for one whole segment
	wild    bool      // the path has a "*" in it
	tail    tail      // what may follow the path
}

// tail is what the end of a pattern stands for.
type tail uint8

const (
	tailNone     tail = iota // the path ends here
	tailAny                  // "/a*": anything, also nothing
	tailSegments             // "/a/**": one segment or more
)

// Patterns is a list of allowed endpoints. An empty list allows everything. It is safe for concurrent use as long as
// nobody writes to it.
type Patterns []Pattern

// ParsePattern reads an endpoint pattern: a path, or methods separated by commas, one space and a path.
//
//	/products*              every method; /products and whatever continues it: /products/1, /products-archive
//	/stores/*/brands        a segment that is exactly * is one non-empty segment, wherever it stands
//	/products/*             /products/1, not /products/1/reviews and not /products/1/
//	/reports/**             a last segment ** is one segment or more: /reports/1, /reports/1/2/, not /reports/
//	GET /products*          GET includes HEAD
//	GET,POST /orders        exactly /orders: a trailing slash makes another path
//
// Any other * is refused. All other characters stand for themselves, in their case: there are no regular
// expressions. Patterns are relative to the base, see [JudgedPath].
//
// The path must be spelled as [CanonicalPath] spells it, so that a pattern never holds what no path can hold. A path
// with a literal * in it is matched by wildcards only.
//
// Errors have code invalid and the field "pattern": text over [MaxPatternBytes], an unknown or repeated method, a
// misplaced *, a path that is refused, or one spelled otherwise, in which case the message shows the right spelling.
func ParsePattern(text string) (Pattern, error) {
	return parsePattern("pattern", text)
}

// ParsePatterns reads a list of at most [MaxPatterns] patterns; none means unrestricted. Errors have code invalid and
// name field, or the element at fault as in "allowed_endpoints[3]".
func ParsePatterns(field string, texts []string) (Patterns, error) {
	if len(texts) > MaxPatterns {
		return nil, Invalid(field, "%d patterns are too many; send at most %d", len(texts), MaxPatterns)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	patterns := make(Patterns, 0, len(texts))
	for i, text := range texts {
		pattern, err := parsePattern(fmt.Sprintf("%s[%d]", field, i), text)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// String returns the text that was parsed.
func (p Pattern) String() string { return p.text }

func (p Patterns) texts() []string {
	var texts []string
	for _, pattern := range p {
		texts = append(texts, pattern.text)
	}
	return texts
}

// Match reports whether a request is allowed: by an empty list always, else by the first pattern that fits. The method
// must come from [CanonicalMethod] and the path from [CanonicalPath] (and [JudgedPath]): dot segments and other
// spellings are not looked for again. Where the list is not empty, an empty path matches nothing, an empty method
// matches only patterns that name no method, and an unknown method matches nothing.
//
// It costs time linear in the path's length for each pattern, whatever the pattern, and allocates nothing.
func (p Patterns) Match(method, path string) bool {
	if len(p) == 0 {
		return true
	}
	_, known := knownMethod(method)
	if path == "" || known == 0 && method != "" {
		return false
	}
	for i := range p {
		if p[i].match(known, path) {
			return true
		}
	}
	return false
}

func (p *Pattern) match(method methodSet, path string) bool {
	if p.methods != 0 && p.methods&method == 0 {
		return false
	}
	rest, ok := strings.CutPrefix(path, p.path)
	if p.wild {
		rest, ok = cutPattern(path, p.path)
	}
	switch p.tail {
	case tailAny:
		return ok
	case tailSegments:
		return ok && rest != ""
	default:
		return ok && rest == ""
	}
}

// cutPattern returns path without the beginning that pattern stands for. Every "*" in pattern is a whole segment, so
// it ends at the next slash and there is never a second way to try.
func cutPattern(path, pattern string) (rest string, ok bool) {
	for {
		literal, after, wild := strings.Cut(pattern, "*")
		rest, ok = strings.CutPrefix(path, literal)
		if !ok || !wild {
			return rest, ok
		}
		segment, _, _ := strings.Cut(rest, "/")
		if segment == "" {
			return "", false
		}
		path, pattern = rest[len(segment):], after
	}
}

// parsePattern is ParsePattern with field in its errors.
func parsePattern(field, text string) (Pattern, error) {
	if len(text) > MaxPatternBytes {
		return Pattern{}, Invalid(field, "pattern is longer than %d bytes; shorten it", MaxPatternBytes)
	}
	pattern := Pattern{text: text, path: text}
	if names, path, ok := strings.Cut(text, " "); ok {
		pattern.path = path
		if !pattern.methods.parse(names) {
			return Pattern{}, Invalid(field, "pattern has a space but no list of different methods before it; "+
				"write it like GET,POST /orders, with methods from %s", methodNames)
		}
	}
	canonical, fault := canonicalPath(pattern.path)
	switch {
	case fault != "":
		return Pattern{}, Invalid(field, "path of the pattern %s", fault)
	case canonical != pattern.path:
		return Pattern{}, Invalid(field, "path of the pattern is not in canonical form; write it as %s", canonical)
	case !pattern.cutTail():
		return Pattern{}, Invalid(field, "pattern has a misplaced *; "+
			"make it a whole segment, the last character, or ** as the last segment")
	}
	return pattern, nil
}

// cutTail moves the meaning of a trailing wildcard from the path to the tail, notes whether any "*" is left, and reports
// whether each of those is a whole segment.
func (p *Pattern) cutTail() bool {
	last := p.path[strings.LastIndexByte(p.path, '/')+1:]
	switch {
	case last == "**":
		p.path, p.tail = strings.TrimSuffix(p.path, "**"), tailSegments
	case last != "*" && strings.HasSuffix(last, "*"):
		p.path, p.tail = strings.TrimSuffix(p.path, "*"), tailAny
	}
	for segment := range strings.SplitSeq(p.path, "/") {
		if segment != "*" && strings.Contains(segment, "*") {
			return false
		}
	}
	p.wild = strings.Contains(p.path, "*")
	return true
}

// methodSet holds methods as bits; the bit of each is in knownMethod.
type methodSet uint16

const (
	methodGet methodSet = 1 << iota
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete
	methodOptions
	methodTrace
	methodConnect
)

// methodNames is for messages.
const methodNames = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE or CONNECT"

// CanonicalMethod returns the constant equal to raw, so that whoever keeps it keeps nothing of the request. Methods
// are case-sensitive (RFC 9110 §9.1); known are those of RFC 9110 §9.3 and PATCH (RFC 5789). Any other is an error of
// code invalid and field "method": an unknown method has no agreed meaning to allow or forbid.
func CanonicalMethod(raw string) (string, error) {
	name, known := knownMethod(raw)
	if known == 0 {
		return "", Invalid("method", "method is unknown; send %s", methodNames)
	}
	return name, nil
}

// knownMethod returns a method as a constant and as a bit, or "" and 0.
func knownMethod(method string) (string, methodSet) {
	switch method {
	case "GET":
		return "GET", methodGet
	case "HEAD":
		return "HEAD", methodHead
	case "POST":
		return "POST", methodPost
	case "PUT":
		return "PUT", methodPut
	case "PATCH":
		return "PATCH", methodPatch
	case "DELETE":
		return "DELETE", methodDelete
	case "OPTIONS":
		return "OPTIONS", methodOptions
	case "TRACE":
		return "TRACE", methodTrace
	case "CONNECT":
		return "CONNECT", methodConnect
	default:
		return "", 0
	}
}

// parse sets the methods named, and HEAD with GET because it asks for the same without the body (RFC 9110 §9.3.2).
// It reports whether all are known and none is repeated.
func (s *methodSet) parse(names string) bool {
	for name := range strings.SplitSeq(names, ",") {
		_, method := knownMethod(name)
		if method == 0 || *s&method != 0 {
			return false
		}
		*s |= method
	}
	if *s&methodGet != 0 {
		*s |= methodHead
	}
	return true
}
