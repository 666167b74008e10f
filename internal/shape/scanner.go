package shape

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

// Scanner reads one JSON text (RFC 8259) from front to back, and more strictly than encoding/json: a member's name
// is what it is, letter by letter, escapes must be pairs of surrogates or none, and nothing may follow the value. The
// caller must have checked that text is UTF-8.
//
// Errors are of code invalid and repeat nothing of the text: it may hold a secret.
type Scanner struct {
	text  []byte
	at    int
	depth int
}

// NewScanner returns a Scanner at the start of text, which must be UTF-8.
func NewScanner(text []byte) Scanner { return Scanner{text: text} }

func (s *Scanner) malformed() error {
	return notJSON("The body is not valid JSON: see byte %d", s.at+1)
}

// errNotJSON is the cause of errors about the text as a whole, which belong to no member.
var errNotJSON = errors.New("not JSON")

func notJSON(format string, args ...any) error {
	return &latchward.Error{Code: latchward.CodeInvalid, Message: fmt.Sprintf(format, args...), Err: errNotJSON}
}

// Peek returns the first byte of the next value or punctuation, or 0 at the end.
func (s *Scanner) Peek() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *Scanner) expect(c byte) error {
	if s.Peek() != c {
		return s.malformed()
	}
	s.at++
	return nil
}

// End checks that nothing follows.
func (s *Scanner) End() error {
	if s.Peek() != 0 || s.at < len(s.text) {
		return s.malformed()
	}
	return nil
}

// Object calls member with the name of each member of the object that comes next; member reads the value. The name is
// valid until the next call.
func (s *Scanner) Object(member func(name []byte) error) error {
	return s.sequence('{', '}', func() error {
		name, err := s.Str()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return member(name)
	})
}

// List calls item for each item of the array that comes next; item reads the value.
func (s *Scanner) List(item func() error) error { return s.sequence('[', ']', item) }

func (s *Scanner) sequence(first, last byte, element func() error) error {
	if err := s.expect(first); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return notJSON("The body nests deeper than %d levels", maxDepth)
	}
	if s.Peek() != last {
		for {
			if err := element(); err != nil {
				return err
			}
			if s.Peek() != ',' {
				break
			}
			s.at++
		}
	}
	s.depth--
	return s.expect(last)
}

// Str reads a string. What it returns is part of the text unless there are escapes.
func (s *Scanner) Str() ([]byte, error) {
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
func (s *Scanner) escaped(head []byte) ([]byte, error) {
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
func (s *Scanner) escape() (rune, bool) {
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
func (s *Scanner) unit() (rune, bool) {
	if s.at+6 > len(s.text) || s.text[s.at] != '\\' || s.text[s.at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.text[s.at+2:s.at+6]), 16, 16)
	s.at += 6
	return rune(n), err == nil
}

// Number reads a number as it is written.
func (s *Scanner) Number() ([]byte, error) {
	s.Peek()
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

// Word reads null, true or false.
func (s *Scanner) Word(word string) error {
	s.Peek()
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return s.malformed()
	}
	s.at += len(word)
	return nil
}

// Skip reads whatever comes next. Objects in it must not have two members of one name.
func (s *Scanner) Skip() error {
	switch c := s.Peek(); c {
	case '{':
		seen := map[string]bool{}
		return s.Object(func(name []byte) error {
			if seen[string(name)] {
				return errTwice
			}
			seen[string(name)] = true
			return s.Skip()
		})
	case '[':
		return s.List(s.Skip)
	case '"':
		_, err := s.Str()
		return err
	case 'n':
		return s.Word("null")
	case 't':
		return s.Word("true")
	case 'f':
		return s.Word("false")
	default:
		_, err := s.Number()
		return err
	}
}

var errTwice error = &latchward.Error{Code: latchward.CodeInvalid, Message: "must not hold two members of one name"}

// Mistaken reads a value that is not what it must be, and says so unless it is not even JSON.
func (s *Scanner) Mistaken(what string) error {
	if err := s.Skip(); err != nil {
		return err
	}
	return latchward.Invalid("", "must be %s", what)
}

// Text reads a string.
func (s *Scanner) Text() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, s.Mistaken("a text")
	}
	return s.Str()
}

// Texts reads a list of strings.
func (s *Scanner) Texts() ([]string, error) {
	if s.Peek() != '[' {
		return nil, s.Mistaken("a list")
	}
	list := []string{}
	err := s.List(func() error {
		text, err := s.Text()
		if err != nil {
			return Within("["+strconv.Itoa(len(list))+"]", err)
		}
		list = append(list, string(text))
		return nil
	})
	return list, err
}

// Positive reads a whole number of at least 1.
func (s *Scanner) Positive() (int64, error) {
	const what = "a whole number of at least 1"
	if c := s.Peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.Mistaken(what)
	}
	literal, err := s.Number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(literal), 10, 64)
	if err != nil || n < 1 {
		return 0, latchward.Invalid("", "must be "+what)
	}
	return n, nil
}

// Boolean reads true or false.
func (s *Scanner) Boolean() (bool, error) {
	switch s.Peek() {
	case 't':
		return true, s.Word("true")
	case 'f':
		return false, s.Word("false")
	}
	return false, s.Mistaken("true or false")
}
