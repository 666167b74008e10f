// Package shape reads off a Go type what it looks like in JSON. One shape checks what callers send and becomes the
// schema in an OpenAPI document, so that these cannot disagree.
package shape

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Kind says what a JSON value is.
type Kind int

// The kinds.
const (
	KindObject Kind = iota + 1
	KindList
	KindText
	KindInteger
	KindNumber
	KindBoolean
	KindFree // an object with any members, each of the shape Item, or any when that is nil
	KindAny
)

// Shape is what a Go type looks like in JSON. The tags of a field are
//
//	doc:"..."      what it means
//	null:"true"    null is a value; so it is for pointers, maps and interfaces, unless "false"
//	range:"1,10"   least and most of a number, of the characters of a text, of the items of a list; both optional
//	enum:"a,b"     the only values of a text, or of the texts of a list
//
// and a member is required unless its json tag says omitempty or omitzero. A Shape is not changed once it was made.
type Shape struct {
	Kind        Kind
	Name        string // of the Go type of an object; "" = anonymous
	Null        bool
	Format      string // of a text
	Doc         string
	Enum        []string
	Least, Most *int64
	Item        *Shape                  // of a list, or of each member of KindFree
	Valid       func(text string) error // of a text, or of the JSON of KindAny; nil = every one is

	kept *[]Member // of an object; a pointer, because a type may hold itself
	of   reflect.Type
}

// Member is one member of an object.
type Member struct {
	Name     string
	Required bool
	*Shape
}

// Members lists the members of an object.
func (sh *Shape) Members() []Member {
	if sh.kept == nil {
		return nil
	}
	return *sh.kept
}

// ObjectOf returns the shape of an object with the given members, at most 64.
func ObjectOf(name string, members []Member) *Shape {
	return &Shape{Kind: KindObject, Name: name, kept: &members}
}

// Known returns the shape of a type that is, in JSON, not what its Go type says, and nil for all others. It may ask of
// for the shapes of other types.
type Known func(t reflect.Type, of func(reflect.Type) *Shape) *Shape

// Reader makes shapes. The zero Reader knows the types of the standard library that matter.
type Reader struct {
	Known Known // nil = none
	made  map[reflect.Type]*Shape
}

// Of returns the shape of t. It panics for types that have no JSON, such as functions: that is a mistake in a program,
// and shows when it starts.
func (r *Reader) Of(t reflect.Type) *Shape {
	if r.Known != nil {
		if sh := r.Known(t, r.Of); sh != nil {
			return sh
		}
	}
	if sh := coded(t); sh != nil {
		return sh
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := *r.Of(t.Elem())
		inner.Null = true
		return &inner
	case reflect.Struct:
		return r.object(t)
	case reflect.Slice, reflect.Array:
		return &Shape{Kind: KindList, Item: r.Of(t.Elem())}
	case reflect.Map:
		return r.free(t)
	case reflect.Interface:
		return &Shape{Kind: KindAny, Null: true}
	}
	return simple(t)
}

// Fields returns the fields of a struct as encoding/json sees them: exported, and those of embedded structs in place of
// these. Index leads to them from t. Optional ones come from an embedded pointer: all of its members are there, or
// none.
func Fields(t reflect.Type) []Field {
	var list []Field
	for i := range t.NumField() {
		field := t.Field(i)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if field.Anonymous && inner.Kind() == reflect.Struct && field.Tag == "" {
			for _, f := range Fields(inner) {
				f.Index = append([]int{i}, f.Index...)
				f.Optional = f.Optional || field.Type != inner
				list = append(list, f)
			}
			continue
		}
		if field.IsExported() && field.Tag.Get("json") != "-" {
			list = append(list, Field{StructField: field})
		}
	}
	return list
}

// Field is one field of a struct, or of one embedded in it.
type Field struct {
	reflect.StructField
	Optional bool
}

// Member returns the member that a field is under a tag, which has a name and options like that of encoding/json.
func (r *Reader) Member(f Field, tag string) Member {
	name, options, _ := strings.Cut(f.Tag.Get(tag), ",")
	if name == "" {
		name = f.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		if option != "" && option != "omitempty" && option != "omitzero" {
			panic("shape: the field " + f.Name + " has the option " + option + ", which is not supported")
		}
	}
	sh := *r.Of(f.Type)
	sh.tag(f.Tag)
	return Member{Name: name, Required: options == "" && !f.Optional, Shape: &sh}
}

func (r *Reader) object(t reflect.Type) *Shape {
	if sh := r.made[t]; sh != nil {
		return sh
	}
	if r.made == nil {
		r.made = map[reflect.Type]*Shape{}
	}
	sh := ObjectOf(t.Name(), nil)
	sh.of, r.made[t] = t, sh
	for _, f := range Fields(t) {
		*sh.kept = append(*sh.kept, r.Member(f, "json"))
	}
	if len(*sh.kept) > 64 {
		panic("shape: " + t.String() + " has more than 64 members")
	}
	return sh
}

func (r *Reader) free(t reflect.Type) *Shape {
	if t.Key().Kind() != reflect.String {
		panic("shape: the keys of " + t.String() + " are no texts")
	}
	sh := &Shape{Kind: KindFree, Null: true}
	if t.Elem().Kind() != reflect.Interface {
		sh.Item = r.Of(t.Elem())
	}
	return sh
}

// coded returns the shape of a type that has an encoding of its own, or nil.
func coded(t reflect.Type) *Shape {
	pointer := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &Shape{Kind: KindText, Format: "date-time", Valid: validTime}
	case t == reflect.TypeFor[[]byte]():
		return &Shape{Kind: KindText, Format: "byte", Valid: validBase64}
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		return nil
	case pointer.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return &Shape{Kind: KindAny, Null: true, Valid: func(text string) error {
			return reflect.New(t).Interface().(json.Unmarshaler).UnmarshalJSON([]byte(text))
		}}
	case pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &Shape{Kind: KindText, Valid: func(text string) error {
			return reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		}}
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return &Shape{Kind: KindAny, Null: true}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &Shape{Kind: KindText}
	}
	return nil
}

func validTime(text string) error {
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return errors.New("must be a time like 2026-12-31T18:00:00Z")
	}
	return nil
}

func validBase64(text string) error {
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return errors.New("must be base64")
	}
	return nil
}

func simple(t reflect.Type) *Shape {
	switch kind := t.Kind(); kind {
	case reflect.String:
		return &Shape{Kind: KindText}
	case reflect.Bool:
		return &Shape{Kind: KindBoolean}
	case reflect.Float32, reflect.Float64:
		return &Shape{Kind: KindNumber}
	case reflect.Int, reflect.Int64:
		return &Shape{Kind: KindInteger}
	case reflect.Int8, reflect.Int16, reflect.Int32:
		most := int64(math.MaxInt64) >> (64 - t.Bits())
		return &Shape{Kind: KindInteger, Least: new(-most - 1), Most: &most}
	case reflect.Uint, reflect.Uint64:
		return &Shape{Kind: KindInteger, Least: new(int64)}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return &Shape{Kind: KindInteger, Least: new(int64), Most: new(int64(1)<<t.Bits() - 1)}
	}
	panic("shape: there is no JSON for the type " + t.String())
}

func (sh *Shape) tag(tag reflect.StructTag) {
	sh.Doc = tag.Get("doc")
	if null := tag.Get("null"); null != "" {
		sh.Null = null == "true"
	}
	if values := tag.Get("enum"); values != "" {
		sh.allow(strings.Split(values, ","))
	}
	least, most, _ := strings.Cut(tag.Get("range"), ",")
	if least != "" {
		sh.Least = bound(least)
	}
	if most != "" {
		sh.Most = bound(most)
	}
}

// allow makes values the only ones of a text, or of each item of a list.
func (sh *Shape) allow(values []string) {
	if sh.Kind == KindList {
		item := *sh.Item
		item.allow(values)
		sh.Item = &item
		return
	}
	sh.Enum = values
}

func bound(text string) *int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("shape: " + text + " is no bound")
	}
	return &n
}
