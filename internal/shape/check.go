package shape

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/latchward/latchward"
)

// ErrNotUTF8 is what a body that is not UTF-8 is refused with.
var ErrNotUTF8 = notJSON("The body is not valid UTF-8")

// Decode reads text, which must look exactly like sh, into value, a pointer to sh's type. Errors are of code invalid,
// name the member at fault and repeat nothing that was sent.
func (sh *Shape) Decode(text []byte, value any) error {
	if !utf8.Valid(text) {
		return ErrNotUTF8
	}
	s := &Scanner{text: text}
	if err := sh.Check(s); err != nil {
		return err
	}
	if err := s.End(); err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		// Only what no shape can tell is left: a number that its type does not hold.
		return notJSON("The body holds a number that is too large")
	}
	return nil
}

// Check reads the next value and returns what is wrong with it.
func (sh *Shape) Check(s *Scanner) error {
	if s.Peek() == 'n' {
		if err := s.Word("null"); err != nil || sh.Null {
			return err
		}
		return latchward.Invalid("", "must not be null")
	}
	if sh.Kind != KindAny && !strings.ContainsRune(firstBytes[sh.Kind], rune(s.Peek())) {
		return s.Mistaken(sh.described()) // what is not JSON at all is told first
	}
	switch sh.Kind {
	case KindObject:
		return sh.checkMembers(s)
	case KindFree:
		return sh.checkFree(s)
	case KindList:
		return sh.checkItems(s)
	case KindText:
		return sh.checkText(s)
	case KindInteger, KindNumber:
		return sh.checkNumber(s)
	case KindAny:
		return sh.checkAny(s)
	default:
		return s.Skip()
	}
}

// firstBytes are the bytes that a value of each kind begins with.
var firstBytes = [...]string{
	KindObject: "{", KindList: "[", KindText: `"`, KindInteger: "-0123456789", KindNumber: "-0123456789",
	KindBoolean: "tf", KindFree: "{",
}

func (sh *Shape) described() string {
	switch sh.Kind {
	case KindList:
		return "a list"
	case KindText:
		return "a text"
	case KindInteger:
		return "a whole number" + sh.interval()
	case KindNumber:
		return "a number" + sh.interval()
	case KindBoolean:
		return "true or false"
	default:
		return "a JSON object"
	}
}

func (sh *Shape) interval() string {
	switch {
	case sh.Least != nil && sh.Most != nil:
		return fmt.Sprintf(" from %d to %d", *sh.Least, *sh.Most)
	case sh.Least != nil:
		return fmt.Sprintf(" of at least %d", *sh.Least)
	case sh.Most != nil:
		return fmt.Sprintf(" of at most %d", *sh.Most)
	default:
		return ""
	}
}

func (sh *Shape) checkMembers(s *Scanner) error {
	var seen uint64 // one bit for each member
	members := sh.Members()
	err := s.Object(func(name []byte) error {
		i, m := sh.Member(name)
		switch {
		case m == nil:
			return latchward.Invalid(Showable(name), "is unknown or cannot be set here")
		case seen&(1<<i) != 0:
			return latchward.Invalid(m.Name, "must not be given twice")
		}
		seen |= 1 << i
		return Within(m.Name, m.Check(s))
	})
	if err != nil {
		return err
	}
	for i, m := range members {
		if m.Required && seen&(1<<i) == 0 {
			return latchward.Invalid(m.Name, "is required")
		}
	}
	return nil
}

// Member returns the member with a name, and its index; nil when there is none.
func (sh *Shape) Member(name []byte) (int, *Member) {
	members := sh.Members()
	for i := range members {
		if members[i].Name == string(name) {
			return i, &members[i]
		}
	}
	return 0, nil
}

// Showable returns the name of an unknown member for an error to show, unless it may be a secret in the wrong place.
func Showable(name []byte) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	if len(name) > 32 || strings.ContainsFunc(string(name), func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return string(name)
}

// Within puts the place of a value before the place inside it that err names.
func Within(place string, err error) error {
	if err == nil {
		return nil
	}
	var known *latchward.Error
	if !errors.As(err, &known) || errors.Is(err, errNotJSON) {
		return err
	}
	inner := *known
	switch {
	case inner.Field == "":
		inner.Field = place
	case inner.Field[0] == '[':
		inner.Field = place + inner.Field
	default:
		inner.Field = place + "." + inner.Field
	}
	return &inner
}

func (sh *Shape) checkFree(s *Scanner) error {
	if sh.Item == nil {
		return s.Skip()
	}
	seen := map[string]bool{}
	return s.Object(func(name []byte) error {
		if seen[string(name)] {
			return errTwice
		}
		seen[string(name)] = true
		return Within(Showable(name), sh.Item.Check(s))
	})
}

func (sh *Shape) checkAny(s *Scanner) error {
	start := s.at
	if err := s.Skip(); err != nil || sh.Valid == nil {
		return err
	}
	return sh.valid(string(s.text[start:s.at]))
}

// valid asks Valid, whose own words are for whoever wrote it unless they are meant for callers.
func (sh *Shape) valid(text string) error {
	err := sh.Valid(text)
	var known *latchward.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case sh.Format != "":
		return latchward.Invalid("", "%v", err)
	default:
		return latchward.Invalid("", "cannot be read: it does not have the form that is expected here")
	}
}

func (sh *Shape) checkItems(s *Scanner) error {
	n := int64(0)
	err := s.List(func() error {
		if sh.Most != nil && n >= *sh.Most {
			return latchward.Invalid("", "must hold at most %d items", *sh.Most)
		}
		if err := sh.Item.Check(s); err != nil {
			return Within(fmt.Sprintf("[%d]", n), err)
		}
		n++
		return nil
	})
	if err == nil && sh.Least != nil && n < *sh.Least {
		return latchward.Invalid("", "must hold at least %d items", *sh.Least)
	}
	return err
}

func (sh *Shape) checkText(s *Scanner) error {
	text, err := s.Str()
	if err != nil {
		return err
	}
	if sh.Least != nil || sh.Most != nil {
		if n := int64(utf8.RuneCount(text)); sh.Least != nil && n < *sh.Least || sh.Most != nil && n > *sh.Most {
			return latchward.Invalid("", "must have%s characters", strings.Replace(sh.interval(), " of", "", 1))
		}
	}
	if sh.Valid != nil {
		if err := sh.valid(string(text)); err != nil {
			return err
		}
	}
	if sh.Enum == nil {
		return nil
	}
	for _, value := range sh.Enum {
		if value == string(text) {
			return nil
		}
	}
	return latchward.Invalid("", "must be one of: %s", strings.Join(sh.Enum, ", "))
}

func (sh *Shape) checkNumber(s *Scanner) error {
	literal, err := s.Number()
	if err != nil {
		return err
	}
	if sh.Kind == KindInteger {
		n, err := strconv.ParseInt(string(literal), 10, 64)
		if err != nil || sh.Least != nil && n < *sh.Least || sh.Most != nil && n > *sh.Most {
			return latchward.Invalid("", "must be %s", sh.described())
		}
		return nil
	}
	n, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || sh.Least != nil && n < float64(*sh.Least) || sh.Most != nil && n > float64(*sh.Most) {
		return latchward.Invalid("", "must be %s", sh.described())
	}
	return nil
}
