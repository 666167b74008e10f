package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/latchward/latchward"
)

// maxDepth is how deep arrays and objects may nest in what callers send.
const maxDepth = 32

// scanner reads one JSON text (RFC 8259) from front to back, and more strictly than encoding/json: a member's name
// is what it is, letter by letter, escapes must be pairs of surrogates or none, and nothing may follow the value. The
// caller must have checked that text is UTF-8.
//
// Errors are of code invalid and repeat nothing of the text: it may hold a secret.
type scanner struct {
	text  []byte
	at    int
	depth int
}

func (s *scanner) malformed() error {
	return notJSON("The body is not valid JSON: see byte %d", s.at+1)
}

// errNotJSON is the cause of errors about the text as a whole, which belong to no member.
var errNotJSON = errors.New("not JSON")

func notJSON(format string, args ...any) error {
	return &latchward.Error{Code: latchward.CodeInvalid, Message: fmt.Sprintf(format, args...), Err: errNotJSON}
}

// peek returns the first byte of the next value or punctuation, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return s.malformed()
	}
	s.at++
	return nil
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.at < len(s.text) {
		return s.malformed()
	}
	return nil
}

// object calls member with the name of each member of the object that comes next; member reads the value. The name is
// valid until the next call.
func (s *scanner) object(member func(name []byte) error) error {
	return s.sequence('{', '}', func() error {
		name, err := s.str()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return member(name)
	})
}

// list calls item for each item of the array that comes next; item reads the value.
func (s *scanner) list(item func() error) error { return s.sequence('[', ']', item) }

func (s *scanner) sequence(first, last byte, element func() error) error {
	if err := s.expect(first); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return notJSON("The body nests deeper than %d levels", maxDepth)
	}
	if s.peek() != last {
		for {
			if err := element(); err != nil {
				return err
			}
			if s.peek() != ',' {
				break
			}
			s.at++
		}
	}
	s.depth--
	return s.expect(last)
}

// str reads a string. What it returns is part of the text unless there are escapes.
func (s *scanner) str() ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	start := s.at
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1], nil
		case c == '\\':
			return s.escaped(bytes.Clone(s.text[start:s.at]))
		case c < ' ':
			return nil, s.malformed()
		}
	}
	return nil, s.malformed()
}

// escaped reads the rest of a string of which there is an escape next.
func (s *scanner) escaped(head []byte) ([]byte, error) {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return head, nil
		case c < ' ':
			return nil, s.malformed()
		case c == '\\':
			r, ok := s.escape()
			if !ok {
				return nil, s.malformed()
			}
			head = utf8.AppendRune(head, r)
		default:
			head = append(head, c)
			s.at++
		}
	}
	return nil, s.malformed()
}

// escape reads what a backslash and the characters behind it stand for.
func (s *scanner) escape() (rune, bool) {
	if s.at+1 >= len(s.text) {
		return 0, false
	}
	c := s.text[s.at+1]
	if c != 'u' {
		i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if i < 0 {
			return 0, false
		}
		s.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := s.unit()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	low, ok := s.unit()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

// unit reads \u and four hexadecimal digits.
func (s *scanner) unit() (rune, bool) {
	if s.at+6 > len(s.text) || s.text[s.at] != '\\' || s.text[s.at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.text[s.at+2:s.at+6]), 16, 16)
	s.at += 6
	return rune(n), err == nil
}

// number reads a number as it is written.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	start := s.at
	for s.at < len(s.text) && bytes.IndexByte([]byte("+-.0123456789Ee"), s.text[s.at]) >= 0 {
		s.at++
	}
	literal := s.text[start:s.at]
	if !json.Valid(literal) {
		s.at = start
		return nil, s.malformed()
	}
	return literal, nil
}

// word reads null, true or false.
func (s *scanner) word(word string) error {
	s.peek()
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return s.malformed()
	}
	s.at += len(word)
	return nil
}

// skip reads whatever comes next. Objects in it must not have two members of one name.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '{':
		seen := map[string]bool{}
		return s.object(func(name []byte) error {
			if seen[string(name)] {
				return errTwice
			}
			seen[string(name)] = true
			return s.skip()
		})
	case '[':
		return s.list(s.skip)
	case '"':
		_, err := s.str()
		return err
	case 'n':
		return s.word("null")
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	default:
		_, err := s.number()
		return err
	}
}

var errTwice error = &latchward.Error{Code: latchward.CodeInvalid, Message: "must not hold two members of one name"}
