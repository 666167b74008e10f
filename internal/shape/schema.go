package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Object is a JSON object whose members stay in the order they were written.
type Object []struct {
	Name  string
	Value any
}

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			text.WriteByte(',')
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		text.Write(name)
		text.WriteByte(':')
		text.Write(value)
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// Set replaces or adds a member.
func (o *Object) Set(name string, value any) {
	for i := range *o {
		if (*o)[i].Name == name {
			(*o)[i].Value = value
			return
		}
	}
	*o = append(*o, struct {
		Name  string
		Value any
	}{name, value})
}

// Get returns the value of a member, or nil.
func (o Object) Get(name string) any {
	for _, m := range o {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

const schemaPath = "#/components/schemas/"

// Schemas collects the schemas of an OpenAPI 3.1 document.
type Schemas struct {
	Components Object // of named objects, as components/schemas holds them
	Strict     bool   // while requests are described: they have no members but those named

	owners map[string]any // identity of the object behind each name in Components
}

// Reference returns a reference to the schema of a named object, and makes the schema when it is the first. Different
// objects of one name get different ones.
func (d *Schemas) Reference(sh *Shape) Object {
	name, identity := plainName(sh.Name), sh.identity()
	for n := 2; d.owners[name] != nil && d.owners[name] != identity; n++ {
		name = fmt.Sprintf("%s%d", plainName(sh.Name), n)
	}
	if d.owners[name] == nil {
		if d.owners == nil {
			d.owners = map[string]any{}
		}
		d.owners[name] = identity
		d.Components.Set(name, Object{}) // its place, should it hold itself
		d.Components.Set(name, d.object(sh))
	}
	return Object{{"$ref", schemaPath + name}}
}

// identity tells an object from others of the same name.
func (sh *Shape) identity() any {
	if sh.of != nil {
		return sh.of
	}
	return sh.kept
}

// plainName returns the name of a Go type as a component may have it: Page[example.com/store.Item] is Page_Item.
func plainName(name string) string {
	var words []string
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune("[],*", r) }) {
		words = append(words, word[strings.LastIndexAny(word, "./")+1:])
	}
	return strings.Join(words, "_")
}

func (d *Schemas) object(sh *Shape) Object {
	properties, required := Object{}, []string{}
	for _, m := range sh.Members() {
		properties.Set(m.Name, d.Schema(m.Shape))
		if m.Required {
			required = append(required, m.Name)
		}
	}
	o := Object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		o.Set("required", required)
	}
	if d.Strict {
		o.Set("additionalProperties", false)
	}
	return o
}

var schemaTypes = [...]string{
	KindObject: "object", KindList: "array", KindText: "string", KindInteger: "integer", KindNumber: "number",
	KindBoolean: "boolean", KindFree: "object",
}

// Schema returns the schema of a value. Named objects are referred to.
func (d *Schemas) Schema(sh *Shape) Object {
	var o Object
	switch {
	case sh.Kind == KindAny:
		o = Object{}
	case sh.Kind == KindObject && sh.Name == "":
		o = d.object(sh)
	case sh.Kind == KindObject && sh.Null:
		o = Object{{"anyOf", []Object{d.Reference(sh), {{"type", "null"}}}}}
	case sh.Kind == KindObject:
		o = d.Reference(sh)
	case sh.Null:
		o = Object{{"type", []string{schemaTypes[sh.Kind], "null"}}}
	default:
		o = Object{{"type", schemaTypes[sh.Kind]}}
	}
	d.bounds(&o, sh)
	if sh.Doc != "" {
		o.Set("description", sh.Doc)
	}
	return o
}

func (d *Schemas) bounds(o *Object, sh *Shape) {
	least, most := "minimum", "maximum"
	switch {
	case sh.Kind == KindList:
		least, most = "minItems", "maxItems"
		o.Set("items", d.Schema(sh.Item))
	case sh.Kind == KindText:
		least, most = "minLength", "maxLength"
	case sh.Item != nil:
		o.Set("additionalProperties", d.Schema(sh.Item))
	}
	if sh.Least != nil {
		o.Set(least, *sh.Least)
	}
	if sh.Most != nil {
		o.Set(most, *sh.Most)
	}
	if sh.Format != "" {
		o.Set("format", sh.Format)
	}
	if sh.Enum != nil {
		values := []any{}
		for _, value := range sh.Enum {
			values = append(values, value)
		}
		if sh.Null {
			values = append(values, nil)
		}
		o.Set("enum", values)
	}
}
