package latchward

import "strings"

// Bounds of what rollups tell apart (bar 99).
const (
	maxEndpointNames = 2_000
	maxTaughtNames   = 500 // by one token since the start
	maxVainNames     = 200 // by requests that were refused or led nowhere, since the start
	maxChildren      = 64  // words below one path; a further one counts as an id
)

// idSegment stands in the name of an endpoint for what differs from request to request.
const idSegment = "{id}"

// endpointNames gives each request the name under which rollups count it. Ids in its path become {id}. Names are learnt
// from requests that were let in and reached something, up to a cap, and a few from others, so that an owner sees what a
// token tries in vain without whoever holds it being able to fill the table. Everything else counts as OtherEndpoint.
type endpointNames struct {
	known    map[string]string
	words    map[string]struct{} // beginnings of known names that end in a word
	children map[string]int      // beginning of a name -> how many words there are below it
	taught   map[TokenID]int     // names that were learnt from a token
	vain     int                 // names that were learnt from requests that were refused or led nowhere
	buffer   []byte
}

func newEndpointNames(known []string) endpointNames {
	n := endpointNames{
		known: map[string]string{}, words: map[string]struct{}{}, children: map[string]int{}, taught: map[TokenID]int{},
	}
	for _, name := range known {
		n.learn(name)
	}
	return n
}

func (n *endpointNames) of(events []UsageEvent) []string {
	names := make([]string, len(events))
	for i := range events {
		names[i] = n.name(&events[i])
	}
	return names
}

func (n *endpointNames) name(e *UsageEvent) string {
	n.buffer = appendEndpointName(n.buffer[:0], e.Endpoint)
	if name, ok := n.known[string(n.buffer)]; ok {
		return name
	}
	name := n.collapse(string(n.buffer))
	if known, ok := n.known[name]; ok {
		return known
	}
	vain := !e.Accepted() || e.Status == 404 || e.Status == 405
	taught := e.TokenID != 0 && n.taught[e.TokenID] >= maxTaughtNames
	if len(name) > MaxEndpointLength || len(n.known) >= maxEndpointNames || taught || vain && n.vain >= maxVainNames {
		return OtherEndpoint
	}
	if vain {
		n.vain++
	}
	n.taught[e.TokenID]++
	n.learn(name)
	return name
}

// learn adds a name to those that are known.
func (n *endpointNames) learn(name string) {
	n.known[name] = name
	for parent, word := range beginnings(name) {
		if beginning := name[:len(parent)+1+len(word)]; word != idSegment && !n.isWord(beginning) {
			n.words[beginning] = struct{}{}
			n.children[parent]++
		}
	}
}

func (n *endpointNames) isWord(beginning string) bool {
	_, ok := n.words[beginning]
	return ok
}

// collapse returns a name in which words that come below a path with many others are ids: what looks like a word may be
// somebody's name.
func (n *endpointNames) collapse(name string) string {
	collapsed := make([]byte, 0, len(name))
	for _, word := range beginnings(name) {
		parent := len(collapsed)
		collapsed = append(append(collapsed, '/'), word...)
		if word != idSegment && n.children[string(collapsed[:parent])] >= maxChildren && !n.isWord(string(collapsed)) {
			collapsed = append(collapsed[:parent], "/"+idSegment...)
		}
	}
	if len(collapsed) == 0 {
		return name
	}
	return string(collapsed)
}

// beginnings calls yield for each segment of a path, with what comes before its slash. A text that is not a path has
// none.
func beginnings(path string) func(yield func(parent, segment string) bool) {
	return func(yield func(parent, segment string) bool) {
		for start := 0; start < len(path) && path[start] == '/'; {
			segment, _, _ := strings.Cut(path[start+1:], "/")
			if !yield(path[:start], segment) {
				return
			}
			start += 1 + len(segment)
		}
	}
}

// appendEndpointName appends to b a path in which segments that look like ids are {id}. The name of a name is itself.
func appendEndpointName(b []byte, path string) []byte {
	if path == "" || path[0] != '/' {
		return append(b, path...)
	}
	for _, segment := range beginnings(path) {
		b = append(b, '/')
		if looksLikeID(segment) {
			segment = idSegment
		}
		b = append(b, segment...)
	}
	return b
}

const maxWord = 40 // bytes; a longer segment is not a word

// looksLikeID reports whether a segment of a path is something like 17, 2026-11-22, a UUID, a ULID, ORD-12345,
// red-shoe-10432, ann@example.com or a title, rather than a word of the API such as products, v2, oauth2 or api-tokens.
func looksLikeID(segment string) bool {
	s, plain := shapeOf(segment)
	n := len(segment)
	switch {
	case !plain || n > maxWord:
		return true
	case s.digits == 0:
		return s.dashes >= 3 && n >= 16
	case segment[0] == 'v' && s.digits == n-1 && n <= 4: // v1 to v999
		return false
	}
	return s.digits+s.dashes == n ||
		s.hex+s.dashes == n && n >= 8 && s.digits >= 2 ||
		s.digits >= 3 && (2*s.digits >= n || s.runs >= 3) ||
		s.digits >= 4 ||
		n >= 20 && s.upper > 0 && s.lower > 0 ||
		s.dashes >= 3 && n >= 16
}

// shape counts what a segment is made of.
type shape struct{ digits, runs, hex, dashes, upper, lower int }

// shapeOf returns the shape of a segment; plain is false if there is anything in it but letters, digits and "-_.".
func shapeOf(segment string) (s shape, plain bool) {
	wasDigit := false
	for i := range len(segment) {
		c := segment[i]
		isDigit := '0' <= c && c <= '9'
		switch {
		case isDigit:
			s.digits++
			s.hex++
			if !wasDigit {
				s.runs++
			}
		case 'a' <= c && c <= 'z':
			s.lower++
		case 'A' <= c && c <= 'Z':
			s.upper++
		case c == '-':
			s.dashes++
		case c != '_' && c != '.':
			return s, false
		}
		if lower := c | 0x20; 'a' <= lower && lower <= 'f' {
			s.hex++
		}
		wasDigit = isDigit
	}
	return s, true
}
