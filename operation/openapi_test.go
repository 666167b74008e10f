package operation_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/operation"
)

type node struct {
	Name     string `json:"name" doc:"What it is called."`
	Children []node `json:"children,omitempty"`
}

type list[T any] struct {
	Items []T `json:"items" range:",100"`
}

func describe(t *testing.T) map[string]any {
	t.Helper()
	api := newAPI(newWorld())
	operation.Get(api, operation.Operation{
		Path: "/v1/protected", Summary: "Say hello", Tags: []string{"demo"},
		Permissions: "orders.read AND NOT legacy.x", Roles: []string{"clerk"},
	}, greet)
	operation.Get(api, operation.Operation{Path: "/v1/optional", Anonymous: true}, greet)
	operation.Get(api, operation.Operation{Path: "/v1/public", Public: true}, take[struct{}])
	operation.Post(api, operation.Operation{
		Path: "/v1/{id}/items", ID: "addItem", Status: 201, Errors: []latchward.Code{latchward.CodeConflict},
	}, func(_ context.Context, in everything) (item, error) { return in.Item, nil })
	operation.Put(api, operation.Operation{Path: "/v1/tree"},
		func(_ context.Context, in node) (list[node], error) { return list[node]{Items: []node{in}}, nil })
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/api/openapi.json", nil)) // without a credential
	var document map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	return document
}

// at walks into a document; a missing member fails the test.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		var next any
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			next = object[step]
		case int:
			if list, _ := value.([]any); step < len(list) {
				next = list[step]
			}
		}
		if next == nil {
			t.Fatalf("%v: there is no %v in %v", path, step, value)
		}
		value = next
	}
	return value
}

func keys(object any) []string {
	var names []string
	for name := range object.(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// S5-10, S5-11
func TestDocumentOfSecurity(t *testing.T) {
	d := describe(t)
	if d["openapi"] != "3.1.0" || at(t, d, "info", "version") != "1.2.3" {
		t.Errorf("%v %v", d["openapi"], d["info"])
	}
	scheme := at(t, d, "components", "securitySchemes", "bearerAuth").(map[string]any)
	if scheme["type"] != "http" || scheme["scheme"] != "bearer" || scheme["bearerFormat"] != "Opaque" {
		t.Errorf("scheme: %v", scheme)
	}
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	for path, want := range map[string][2]string{
		"/api/v1/protected": {`[{"bearerAuth":[]}]`, "200 400 401 403 429 500 503"},
		"/api/v1/optional":  {`[{},{"bearerAuth":[]}]`, "200 400 401 403 429 500 503"},
		"/api/v1/public":    {`[]`, "204 500"},
	} {
		get := at(t, d, "paths", path, "get")
		if got := text(at(t, get, "security")); got != want[0] {
			t.Errorf("%s: security %s", path, got)
		}
		if got := strings.Join(keys(at(t, get, "responses")), " "); got != want[1] {
			t.Errorf("%s: responses %s", path, got)
		}
	}
	protected := at(t, d, "paths", "/api/v1/protected", "get").(map[string]any)
	if protected["operationId"] != "getV1Protected" || protected["summary"] != "Say hello" ||
		protected["description"] != "Needs permissions `orders.read AND NOT legacy.x`, role `clerk`." {
		t.Errorf("%v", protected)
	}
	problem := at(t, protected, "responses", "403", "content", "application/problem+json", "schema", "$ref")
	at(t, d, "components", "schemas", strings.TrimPrefix(problem.(string), "#/components/schemas/"), "properties", "code")
}

func TestDocumentOfInput(t *testing.T) {
	d := describe(t)
	post := at(t, d, "paths", "/api/v1/{id}/items", "post")
	if got := strings.Join(keys(at(t, post, "responses")), " "); got != "201 400 401 403 404 409 413 415 429 500 503" {
		t.Errorf("responses %s", got)
	}
	var parameters []string
	for _, p := range at(t, post, "parameters").([]any) {
		p := p.(map[string]any)
		if p["required"] == true {
			parameters = append(parameters, "required")
		}
		parameters = append(parameters, p["in"].(string)+":"+p["name"].(string))
	}
	want := "query:limit query:offset required path:id query:colour query:since header:X-Trace"
	if got := strings.Join(parameters, " "); got != want {
		t.Errorf("parameters %s, want %s", got, want)
	}
	limit := at(t, post, "parameters", 0, "schema").(map[string]any)
	if limit["minimum"] != 1.0 || limit["maximum"] != 100.0 || limit["default"] != 20.0 || limit["type"] != "integer" {
		t.Errorf("limit: %v", limit)
	}
	if at(t, post, "parameters", 3, "schema", "items", "enum", 1) != "blue" {
		t.Error("colour")
	}
	body := at(t, d, "components", "schemas", "everything").(map[string]any)
	if got := strings.Join(keys(body["properties"]), " "); got != "count item labels" ||
		body["additionalProperties"] != false {
		t.Errorf("body: %s %v", got, body)
	}
	name := at(t, d, "components", "schemas", "item", "properties", "name").(map[string]any)
	if name["minLength"] != 1.0 || name["maxLength"] != 10.0 {
		t.Errorf("name: %v", name)
	}
}

// Types that hold themselves, and generic ones.
func TestDocumentOfTypes(t *testing.T) {
	d := describe(t)
	tree := at(t, d, "components", "schemas", "node", "properties", "children", "items", "$ref")
	reply := at(t, d, "paths", "/api/v1/tree", "put", "responses", "200", "content", "application/json", "schema", "$ref")
	if tree != "#/components/schemas/node" || reply != "#/components/schemas/list_node" {
		t.Error(tree, reply)
	}
	schemas := at(t, d, "components", "schemas").(map[string]any)
	if _, ok := schemas[strings.TrimPrefix(reply.(string), "#/components/schemas/")]; !ok {
		t.Errorf("%s is not among %v", reply, keys(schemas))
	}
	for _, name := range keys(schemas) {
		if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("._-", r) && (r < '0' || r > 'z') }) {
			t.Errorf("%q is no name of a component", name)
		}
	}
}

func TestDocumentElsewhereOrNowhere(t *testing.T) {
	for place, want := range map[string]int{"/doc/spec.json": 200, "-": 404} {
		api := operation.New(operation.Options{Verifier: newWorld(), Document: place})
		path := strings.Replace(place, "-", "/openapi.json", 1)
		if answer, _ := call(t, api, "GET", path, "", ""); answer.StatusCode != want {
			t.Errorf("%s: %d", place, answer.StatusCode)
		}
	}
}
