package operation

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/shape"
)

const (
	jsonMedia    = "application/json"
	problemMedia = "application/problem+json"
)

func (a *API) serveDocument(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.document())
}

// encodeDocument returns the OpenAPI document of all operations. Everything in it comes from them and their types.
func (a *API) encodeDocument() []byte {
	text, err := json.MarshalIndent(a.describe(), "", "  ")
	if err != nil { // it is made of texts and numbers
		panic(err)
	}
	return append(text, '\n')
}

func (a *API) describe() shape.Object {
	d := &document{problem: a.types.Of(reflect.TypeFor[httpauth.Problem]())}
	paths := shape.Object{}
	for _, e := range a.entries {
		full := a.options.Base + e.Path
		path, _ := paths.Get(full).(shape.Object)
		path.Set(strings.ToLower(e.method), d.operation(e))
		paths.Set(full, path)
	}
	info := shape.Object{{"title", a.options.Title}, {"version", a.options.Version}}
	if a.options.Description != "" {
		info.Set("description", a.options.Description)
	}
	bearer := shape.Object{
		{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "Opaque"}, {"description", "An API token."},
	}
	components := shape.Object{{"schemas", d.schemas.Components}}
	if slices.ContainsFunc(a.entries, func(e *entry) bool { return !e.Public }) {
		components.Set("securitySchemes", shape.Object{{"bearerAuth", bearer}})
	}
	return shape.Object{
		{"openapi", "3.1.0"}, {"info", info}, {"servers", []shape.Object{{{"url", "/"}}}},
		{"paths", paths}, {"components", components},
	}
}

// document is an OpenAPI document in the making.
type document struct {
	schemas shape.Schemas
	problem *shape.Shape
}

func (d *document) operation(e *entry) shape.Object {
	o := shape.Object{{"operationId", e.ID}}
	if e.Summary != "" {
		o.Set("summary", e.Summary)
	}
	if text := strings.TrimSpace(e.Description + "\n\n" + e.needs()); text != "" {
		o.Set("description", text)
	}
	if len(e.Tags) > 0 {
		o.Set("tags", e.Tags)
	}
	o.Set("security", e.security())
	if parameters := d.parameters(e.input); len(parameters) > 0 {
		o.Set("parameters", parameters)
	}
	if e.input.body != nil {
		d.schemas.Strict = true
		o.Set("requestBody", shape.Object{
			{"required", e.input.bodyNeeded}, {"content", d.content(jsonMedia, e.input.body)},
		})
		d.schemas.Strict = false
	}
	o.Set("responses", d.responses(e))
	return o
}

// needs says in words what a caller must hold.
func (e *entry) needs() string {
	var list []string
	if e.Permissions != "" {
		list = append(list, "permissions `"+e.Permissions+"`")
	}
	for _, named := range []struct {
		what  string
		names []string
	}{{"license", e.Licenses}, {"role", e.Roles}, {"group", e.Groups}} {
		for _, name := range named.names {
			list = append(list, named.what+" `"+name+"`")
		}
	}
	if list == nil {
		return ""
	}
	return "Needs " + strings.Join(list, ", ") + "."
}

// security lists the ways to authenticate, of which any one will do; {} is without.
func (e *entry) security() []shape.Object {
	bearer := shape.Object{{"bearerAuth", []string{}}}
	switch {
	case e.Public:
		return []shape.Object{}
	case e.Anonymous:
		return []shape.Object{{}, bearer}
	default:
		return []shape.Object{bearer}
	}
}

func (d *document) parameters(in *input) []shape.Object {
	var list []shape.Object
	for _, p := range in.parameters {
		o := shape.Object{{"name", p.Name}, {"in", p.in}, {"required", p.Required}}
		if p.Doc != "" {
			o.Set("description", p.Doc)
		}
		plain := *p.Shape
		plain.Doc, plain.Null = "", false
		schema := d.schemas.Schema(&plain)
		if p.absence != nil {
			schema.Set("default", p.absence)
		}
		o.Set("schema", schema)
		list = append(list, o)
	}
	return list
}

func (d *document) content(media string, sh *shape.Shape) shape.Object {
	return shape.Object{{media, shape.Object{{"schema", d.schemas.Schema(sh)}}}}
}

func (d *document) responses(e *entry) shape.Object {
	success := shape.Object{{"description", http.StatusText(e.Status)}}
	if e.reply != nil {
		success.Set("content", d.content(jsonMedia, e.reply))
	}
	responses := shape.Object{{strconv.Itoa(e.Status), success}}
	for _, status := range e.failures() {
		responses.Set(strconv.Itoa(status), shape.Object{
			{"description", http.StatusText(status)}, {"content", d.content(problemMedia, d.problem)},
		})
	}
	return responses
}

// failures lists the statuses with which an operation refuses or fails.
func (e *entry) failures() []int {
	list := []int{http.StatusInternalServerError}
	if !e.Public {
		list = append(list, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
			http.StatusTooManyRequests, http.StatusServiceUnavailable)
	}
	if len(e.input.parameters) > 0 || e.input.body != nil {
		list = append(list, http.StatusBadRequest)
	}
	if strings.Contains(e.Path, "{") {
		list = append(list, http.StatusNotFound)
	}
	if e.input.body != nil {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, code := range e.Errors {
		list = append(list, httpauth.StatusOfCode(code))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
