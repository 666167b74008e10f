//go:build !race

package rest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// injectedPlace is a parameter of a call.
type injectedPlace struct {
	in, name string   // path, query, header or body; "" = none
	path     []string // into a body; "[]" is an item of a list
	payloads []string
	schema   openSchema
}

// openSchema is what the OpenAPI document says of a value.
type openSchema struct {
	Ref        string                `json:"$ref"`
	Type       any                   `json:"type"`
	Properties map[string]openSchema `json:"properties"`
	Items      *openSchema           `json:"items"`
	AnyOf      []openSchema          `json:"anyOf"`
	Enum       []any                 `json:"enum"`
}

type openOperation struct {
	Parameters []struct {
		Name, In string
		Schema   openSchema
	}
	RequestBody struct {
		Content map[string]struct{ Schema openSchema }
	}
}

type openDocument struct {
	Paths      map[string]map[string]openOperation
	Components struct{ Schemas map[string]openSchema }
}

// places returns every parameter of the route, as the OpenAPI document has them.
func (i *injection) places() (places []injectedPlace) {
	d := decode[openDocument](i.t, i.do(http.MethodGet, "/api/latchward/openapi.json", "", ""), http.StatusOK)
	o, documented := d.Paths[i.route.Path][strings.ToLower(i.route.Method)]
	if !documented {
		i.t.Fatal("the route is not documented")
	}
	for _, p := range o.Parameters {
		places = append(places, injectedPlace{in: p.In, name: p.Name, payloads: payloadsFor(p.In, p.Name), schema: p.Schema})
	}
	schema := o.RequestBody.Content["application/json"].Schema
	for _, path := range d.leaves(&schema, nil, 0) {
		places = append(places, injectedPlace{
			in: "body", name: strings.Join(path, "."), path: path, payloads: injectedLiterals(),
		})
	}
	if want := i.route.Body; want != slices.ContainsFunc(places, func(p injectedPlace) bool { return p.in == "body" }) {
		i.t.Errorf("places in a body: %v", !want)
	}
	return places
}

// payloadsFor leaves out what cannot be sent in a parameter, and what is good in it.
func payloadsFor(in, name string) []string {
	return slices.DeleteFunc(slices.Clone(injectedTexts), func(text string) bool {
		switch in {
		case "path":
			return text == "" || len(text) > 30_000 || name == "name" && text == "1.5" // which is a permission
		case "header":
			return len(text) > 30_000 || strings.ContainsAny(text, "\x00\r\n\x1b")
		default:
			return false
		}
	})
}

// takes reports whether a parameter is documented to take a text, as far as that is a matter of form: one of a list,
// such as the columns that can be sorted by, or a number.
func (p *injectedPlace) takes(text string) bool {
	if len(p.schema.Enum) > 0 {
		return slices.Contains(p.schema.Enum, any(text))
	}
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil || p.schema.Type != "integer"
}

// leaves returns the paths of all members of a schema, those that hold others included.
func (d *openDocument) leaves(s *openSchema, at []string, depth int) (paths [][]string) {
	for s.Ref != "" {
		named := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		s = &named
	}
	if len(at) > 0 {
		paths = append(paths, at)
	}
	if depth > 6 {
		return paths
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		member := s.Properties[name]
		paths = append(paths, d.leaves(&member, append(slices.Clone(at), name), depth+1)...)
	}
	if s.Items != nil {
		paths = append(paths, d.leaves(s.Items, append(slices.Clone(at), "[]"), depth+1)...)
	}
	for _, other := range s.AnyOf {
		for _, path := range d.leaves(&other, at, depth+1) {
			if len(path) > len(at) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// withMember returns a JSON value with another value in one place, which it makes if it is not there.
func withMember(value any, path []string, literal json.RawMessage) any {
	if len(path) == 0 {
		return literal
	}
	if path[0] == "[]" {
		items, _ := value.([]any)
		if len(items) == 0 {
			items = []any{nil}
		}
		items[0] = withMember(items[0], path[1:], literal)
		return items
	}
	members, _ := value.(map[string]any)
	if members == nil {
		members = map[string]any{}
	}
	members[path[0]] = withMember(members[path[0]], path[1:], literal)
	return members
}

// encodeLoose writes JSON in which literals stand as they are, even if they are no JSON.
func encodeLoose(value any) string {
	switch v := value.(type) {
	case json.RawMessage:
		return string(v)
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, encodeLoose(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, literalOf(name)+":"+encodeLoose(v[name]))
		}
		return "{" + strings.Join(members, ",") + "}"
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
}

// kept reports whether an answer that shows the member with a payload shows it as it was sent, but for space around it.
func (p *injectedPlace) kept(payload, body string) bool {
	var sent string
	if p.in != "body" || !strings.HasPrefix(payload, `"`) || json.Unmarshal([]byte(payload), &sent) != nil {
		return true
	}
	var reply any
	if json.Unmarshal([]byte(body), &reply) != nil {
		return false
	}
	shown, found := member(reply, p.path)
	text, ok := shown.(string)
	trimmed := strings.TrimSpace(sent)
	return !found || !ok || text == sent || text == trimmed || trimmed == "" // for which some have a default
}

// member looks for the value at a path, in the reply itself or in the record that it holds.
func member(value any, path []string) (any, bool) {
	members, ok := value.(map[string]any)
	if !ok || path[0] == "[]" {
		return nil, false
	}
	shown, found := members[path[0]]
	for _, record := range members {
		if !found {
			inner, is := record.(map[string]any)
			if is {
				shown, found = inner[path[0]]
			}
		}
	}
	if !found || len(path) == 1 {
		return shown, found
	}
	return member(shown, path[1:])
}
