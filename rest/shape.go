package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/latchward/latchward"
)

// shapeKind says what a JSON value is.
type shapeKind int

const (
	shapeObject shapeKind = iota + 1
	shapeList
	shapeText
	shapeInteger
	shapeNumber
	shapeBoolean
	shapeFree // an object with any members
)

// shape is what a wire type looks like in JSON. It is read off the Go type, checks what callers send and becomes the
// schema in the OpenAPI document, so that these cannot disagree. The tags of a field are
//
//	doc:"..."      what it means
//	null:"true"    null is a value; so it is for pointers, maps and Optional, unless "false"
//	range:"1,10"   least and most of an integer, or number of items of a list; either may be left out
//	enum:"a,b"     the only values of a text
//
// and a member is required unless its json tag says omitempty or omitzero.
type shape struct {
	kind        shapeKind
	name        string // of the Go type of an object; "" = anonymous
	null        bool
	format      string // of a text: "date-time" is checked
	doc         string
	enum        []string
	least, most *int64
	members     []shapeMember
	item        *shape
}

type shapeMember struct {
	name     string
	required bool
	*shape
}

// wrapper is implemented by types that are, in JSON, another type or null.
type wrapper interface{ wraps() reflect.Type }

func shapeOf(t reflect.Type) *shape {
	if w, ok := reflect.Zero(t).Interface().(wrapper); ok {
		inner := *shapeOf(w.wraps())
		inner.null = true
		return &inner
	}
	switch t {
	case reflect.TypeFor[Time]():
		return &shape{kind: shapeText, format: "date-time"}
	case reflect.TypeFor[PlainSecret]():
		return &shape{kind: shapeText}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := *shapeOf(t.Elem())
		inner.null = true
		return &inner
	case reflect.Struct:
		return &shape{kind: shapeObject, name: t.Name(), members: membersOf(t)}
	case reflect.Slice:
		return &shape{kind: shapeList, item: shapeOf(t.Elem())}
	case reflect.Map:
		return &shape{kind: shapeFree, null: true}
	case reflect.String:
		return &shape{kind: shapeText, enum: enumOf(t)}
	case reflect.Bool:
		return &shape{kind: shapeBoolean}
	case reflect.Float64:
		return &shape{kind: shapeNumber}
	case reflect.Int, reflect.Int64:
		return &shape{kind: shapeInteger}
	}
	panic("rest: a wire type has a field of type " + t.String() + ", for which there is no shape")
}

func membersOf(t reflect.Type) []shapeMember {
	var members []shapeMember
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous { // a pointer: all its members, or none
			for _, m := range membersOf(field.Type.Elem()) {
				m.required = false
				members = append(members, m)
			}
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		sh := shapeOf(field.Type)
		sh.tag(field.Tag)
		members = append(members, shapeMember{name: name, required: options == "", shape: sh})
	}
	return members
}

func (sh *shape) tag(tag reflect.StructTag) {
	sh.doc = tag.Get("doc")
	if null := tag.Get("null"); null != "" {
		sh.null = null == "true"
	}
	if values := tag.Get("enum"); values != "" {
		sh.enum = strings.Split(values, ",")
	}
	least, most, _ := strings.Cut(tag.Get("range"), ",")
	sh.least, sh.most = bound(least), bound(most)
}

func bound(text string) *int64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("rest: a wire type has the bound " + text)
	}
	return &n
}

// enumOf lists the values of the root's closed sets.
func enumOf(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[latchward.Kind]():
		return texts(latchward.KindPersonal, latchward.KindService)
	case reflect.TypeFor[latchward.Status]():
		return texts(latchward.StatusActive, latchward.StatusInactive, latchward.StatusExpired, latchward.StatusRevoked)
	case reflect.TypeFor[latchward.InactiveReason]():
		return texts(latchward.InactiveManual, latchward.InactiveIdle)
	case reflect.TypeFor[latchward.Reason]():
		return texts(latchward.Reasons()...)
	case reflect.TypeFor[latchward.TokenSort]():
		return texts(latchward.TokenSorts()...)
	case reflect.TypeFor[latchward.SubjectType]():
		return texts(latchward.SubjectUser, latchward.SubjectToken)
	case reflect.TypeFor[latchward.OwnerType]():
		return texts(latchward.OwnerUser)
	}
	return nil
}

func texts[T ~string](values ...T) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = string(value)
	}
	return list
}

// decode reads text, which must look exactly like sh, into value, a pointer to sh's type. Errors are of code invalid,
// name the member at fault and repeat nothing that was sent.
func (sh *shape) decode(text []byte, value any) error {
	if !utf8.Valid(text) {
		return errNotUTF8
	}
	s := &scanner{text: text}
	if err := sh.check(s); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		// Only what no shape can tell is left: a number that no float64 holds.
		return notJSON("The body holds a number that is too large")
	}
	return nil
}

var errNotUTF8 = notJSON("The body is not valid UTF-8")

// check reads the next value and returns what is wrong with it.
func (sh *shape) check(s *scanner) error {
	if s.peek() == 'n' {
		if err := s.word("null"); err != nil || sh.null {
			return err
		}
		return latchward.Invalid("", "must not be null")
	}
	if !strings.ContainsRune(firstBytes[sh.kind], rune(s.peek())) {
		if err := s.skip(); err != nil { // what is not JSON at all is told first
			return err
		}
		return latchward.Invalid("", "must be %s", sh.described())
	}
	switch sh.kind {
	case shapeObject:
		return sh.checkMembers(s)
	case shapeList:
		return sh.checkItems(s)
	case shapeText:
		return sh.checkText(s)
	case shapeInteger, shapeNumber:
		return sh.checkNumber(s)
	default:
		return s.skip()
	}
}

// firstBytes are the bytes that a value of each kind begins with.
var firstBytes = [...]string{
	shapeObject: "{", shapeList: "[", shapeText: `"`, shapeInteger: "-0123456789", shapeNumber: "-0123456789",
	shapeBoolean: "tf", shapeFree: "{",
}

func (sh *shape) described() string {
	switch sh.kind {
	case shapeList:
		return "a list"
	case shapeText:
		return "a text"
	case shapeInteger:
		return "a whole number" + sh.interval()
	case shapeNumber:
		return "a number" + sh.interval()
	case shapeBoolean:
		return "true or false"
	default:
		return "a JSON object"
	}
}

func (sh *shape) interval() string {
	switch {
	case sh.least != nil && sh.most != nil:
		return fmt.Sprintf(" from %d to %d", *sh.least, *sh.most)
	case sh.least != nil:
		return fmt.Sprintf(" of at least %d", *sh.least)
	default:
		return ""
	}
}

func (sh *shape) checkMembers(s *scanner) error {
	var seen uint64 // one bit for each member; no wire type has more
	err := s.object(func(name []byte) error {
		i, m := sh.member(name)
		switch {
		case m == nil:
			return latchward.Invalid(showable(name), "is unknown or cannot be set here")
		case seen&(1<<i) != 0:
			return latchward.Invalid(m.name, "must not be given twice")
		}
		seen |= 1 << i
		return within(m.name, m.check(s))
	})
	if err != nil {
		return err
	}
	for i, m := range sh.members {
		if m.required && seen&(1<<i) == 0 {
			return latchward.Invalid(m.name, "is required")
		}
	}
	return nil
}

func (sh *shape) member(name []byte) (int, *shapeMember) {
	for i := range sh.members {
		if sh.members[i].name == string(name) {
			return i, &sh.members[i]
		}
	}
	return 0, nil
}

// showable returns the name of an unknown member for an error to show, unless it may be a secret in the wrong place.
func showable(name []byte) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	if len(name) > 32 || strings.ContainsFunc(string(name), func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return string(name)
}

// within puts the place of a value before the place inside it that err names.
func within(place string, err error) error {
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

func (sh *shape) checkItems(s *scanner) error {
	n := int64(0)
	err := s.list(func() error {
		if sh.most != nil && n >= *sh.most {
			return latchward.Invalid("", "must hold at most %d items", *sh.most)
		}
		if err := sh.item.check(s); err != nil {
			return within(fmt.Sprintf("[%d]", n), err)
		}
		n++
		return nil
	})
	if err == nil && sh.least != nil && n < *sh.least {
		return latchward.Invalid("", "must hold at least %d items", *sh.least)
	}
	return err
}

func (sh *shape) checkText(s *scanner) error {
	text, err := s.str()
	if err != nil {
		return err
	}
	if sh.format == "date-time" {
		_, err := parseMoment(string(text))
		return err
	}
	if sh.enum == nil {
		return nil
	}
	for _, value := range sh.enum {
		if value == string(text) {
			return nil
		}
	}
	return latchward.Invalid("", "must be one of: %s", strings.Join(sh.enum, ", "))
}

func (sh *shape) checkNumber(s *scanner) error {
	literal, err := s.number()
	if err != nil {
		return err
	}
	if sh.kind == shapeInteger {
		n, err := strconv.ParseInt(string(literal), 10, 64)
		if err != nil || !sh.holds(float64(n)) {
			return latchward.Invalid("", "must be %s", sh.described())
		}
		return nil
	}
	n, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || !sh.holds(n) {
		return latchward.Invalid("", "must be %s", sh.described())
	}
	return nil
}

func (sh *shape) holds(n float64) bool {
	return (sh.least == nil || n >= float64(*sh.least)) && (sh.most == nil || n <= float64(*sh.most))
}
