package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward/httpauth"
)

// object is a JSON object whose members stay in the order they were written.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			text.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
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

// set replaces or adds a member.
func (o *object) set(name string, value any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, member{name, value})
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// openAPI writes the OpenAPI 3.1 document of routes. Everything in it comes from the routes and their wire types.
type openAPI struct {
	schemas object
	strict  bool // while a request is described: it has no members but those named
}

const apiDescription = "Issue, verify, limit, observe, rotate and revoke API tokens.\n\n" +
	"Everything under /api/api-tokens and the users, keys and audit log need the JWT of a signed-in person: API tokens " +
	"cannot manage tokens. Verification and usage reports need a service token that holds tokens.verify, and count " +
	"against that token's own rate limit, once for a batch. " +
	"GET routes answer HEAD as well. Times are UTC with milliseconds. Members that a request does not know " +
	"are refused.\n\n" +
	"A cursor is good for the list it came from, with the same filters and order."

func newOpenAPI(version string, routes []route) object {
	d := &openAPI{}
	problem := shapeOf(reflect.TypeFor[httpauth.Problem]())
	d.reference(problem)
	paths := object{}
	for _, r := range routes {
		path, _ := paths.get(r.path).(object)
		path.set(strings.ToLower(r.method), d.operation(&r))
		paths.set(r.path, path)
	}
	bearer := object{
		{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "Opaque"},
		{"description", "A person's JWT to manage, a service token to verify and report."},
	}
	return object{
		{"openapi", "3.1.0"},
		{"info", object{{"title", "Latchward"}, {"version", version}, {"description", apiDescription}}},
		{"servers", []object{{{"url", "/"}}}},
		{"paths", paths},
		{"components", object{{"schemas", d.schemas}, {"securitySchemes", object{{"bearerAuth", bearer}}}}},
	}
}

func (d *openAPI) operation(r *route) object {
	o := object{{"operationId", r.id}, {"summary", r.summary}, {"tags", []string{tagOf(r.path)}}}
	if r.access == anyone {
		o.set("security", []object{})
	} else {
		o.set("security", []object{{{"bearerAuth", []string{}}}})
	}
	if parameters := d.parameters(r); len(parameters) > 0 {
		o.set("parameters", parameters)
	}
	if r.body != nil {
		d.strict = true
		o.set("requestBody", object{{"required", !r.bodyMayMiss}, {"content", d.content(jsonType, r.body)}})
		d.strict = false
	}
	responses := object{{strconv.Itoa(r.status), d.success(r)}}
	for _, status := range r.failures() {
		responses.set(strconv.Itoa(status), d.failure(status))
	}
	o.set("responses", responses)
	return o
}

const jsonType = "application/json"

// tagOf groups operations by what stands behind the mount.
func tagOf(path string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(path, base+"/"), "latchward/")
	name, _, _ = strings.Cut(name, "/")
	if name == "openapi.json" {
		return "docs"
	}
	return name
}

func (d *openAPI) parameters(r *route) []object {
	var list []object
	if _, rest, ok := strings.Cut(r.path, "{"); ok {
		name, _, _ := strings.Cut(rest, "}")
		schema := object{{"type", "integer"}, {"minimum", 0}}
		list = append(list, object{{"name", name}, {"in", "path"}, {"required", true}, {"schema", schema}})
	}
	if r.query == nil {
		return list
	}
	for _, m := range r.query.members {
		p := object{{"name", m.name}, {"in", "query"}, {"required", m.required}}
		if m.doc != "" {
			p.set("description", m.doc)
		}
		p.set("schema", d.schema(m.shape))
		list = append(list, p)
	}
	return list
}

func (d *openAPI) content(media string, sh *shape) object {
	return object{{media, object{{"schema", d.schema(sh)}}}}
}

func (d *openAPI) success(r *route) object {
	o := object{{"description", http.StatusText(r.status)}}
	switch {
	case r.media != "":
		o.set("content", object{{r.media, object{}}})
	case r.reply != nil:
		o.set("content", d.content(jsonType, r.reply))
	}
	return o
}

func (d *openAPI) failure(status int) object {
	problem := object{{"$ref", schemaPath + "Problem"}}
	return object{
		{"description", http.StatusText(status)},
		{"content", object{{"application/problem+json", object{{"schema", problem}}}}},
	}
}

// failures lists the statuses with which a route refuses or fails.
func (r *route) failures() []int {
	var list []int
	if r.access != anyone {
		list = []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
			http.StatusInternalServerError, http.StatusServiceUnavailable,
		}
	}
	if strings.Contains(r.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	if r.body != nil {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.access == persons && r.method != http.MethodGet {
		list = append(list, http.StatusConflict)
	}
	slices.Sort(list)
	return list
}

const schemaPath = "#/components/schemas/"

// reference returns a reference to the schema of a named object, and makes the schema when it is the first.
func (d *openAPI) reference(sh *shape) object {
	if d.schemas.get(sh.name) == nil {
		d.schemas.set(sh.name, object{}) // its place, should it hold itself
		d.schemas.set(sh.name, d.objectSchema(sh))
	}
	return object{{"$ref", schemaPath + sh.name}}
}

func (d *openAPI) objectSchema(sh *shape) object {
	properties, required := object{}, []string{}
	for _, m := range sh.members {
		properties.set(m.name, d.schema(m.shape))
		if m.required {
			required = append(required, m.name)
		}
	}
	o := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		o.set("required", required)
	}
	if d.strict {
		o.set("additionalProperties", false)
	}
	return o
}

var schemaTypes = [...]string{
	shapeObject: "object", shapeList: "array", shapeText: "string", shapeInteger: "integer", shapeNumber: "number",
	shapeBoolean: "boolean", shapeFree: "object",
}

func (d *openAPI) schema(sh *shape) object {
	var o object
	switch {
	case sh.kind == shapeObject && sh.null:
		o = object{{"anyOf", []object{d.reference(sh), {{"type", "null"}}}}}
	case sh.kind == shapeObject:
		o = d.reference(sh)
	case sh.null:
		o = object{{"type", []string{schemaTypes[sh.kind], "null"}}}
	default:
		o = object{{"type", schemaTypes[sh.kind]}}
	}
	d.bounds(&o, sh)
	if sh.doc != "" {
		o.set("description", sh.doc)
	}
	return o
}

func (d *openAPI) bounds(o *object, sh *shape) {
	least, most := "minimum", "maximum"
	if sh.kind == shapeList {
		least, most = "minItems", "maxItems"
		o.set("items", d.schema(sh.item))
	}
	if sh.least != nil {
		o.set(least, *sh.least)
	}
	if sh.most != nil {
		o.set(most, *sh.most)
	}
	if sh.format != "" {
		o.set("format", sh.format)
	}
	if sh.enum != nil {
		values := []any{}
		for _, value := range sh.enum {
			values = append(values, value)
		}
		if sh.null {
			values = append(values, nil)
		}
		o.set("enum", values)
	}
}
