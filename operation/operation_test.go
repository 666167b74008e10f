package operation_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/operation"
)

type protectedRequest struct{ Subject operation.Subject }

type protectedReply struct{ Message string }

func greet(_ context.Context, in protectedRequest) (protectedReply, error) {
	return protectedReply{"Access granted for " + in.Subject.ID()}, nil
}

// S5-08, S5-07: the source's example, and nobody gets in without a token.
func TestProtected(t *testing.T) {
	w := newWorld()
	api := newAPI(w)
	operation.Get(api, operation.Operation{Path: "/v1/protected"}, greet)
	answer, body := call(t, api, "GET", "/api/v1/protected", "bare", "")
	if answer.StatusCode != 200 || body["Message"] != "Access granted for token:7" {
		t.Errorf("with a token: %d %v", answer.StatusCode, body)
	}
	if answer.Header.Get("X-RateLimit-Remaining") != "59" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", answer.Header)
	}
	for _, secret := range []string{"", "wrong"} {
		answer, body := call(t, api, "GET", "/api/v1/protected", secret, "")
		if answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") == "" || body["Message"] != nil {
			t.Errorf("with %q: %d %v", secret, answer.StatusCode, body)
		}
	}
	if len(w.events) != 1 || w.events[0].Endpoint != "/v1/protected" || w.events[0].Status != 200 {
		t.Errorf("recorded %+v, want the one good request", w.events)
	}
	if r := w.asked[0]; r.Path != "/v1/protected" || r.Method != "GET" || !r.Rights || r.Cost != 1 {
		t.Errorf("asked %+v", r)
	}
}

// S5-09: one operation for each kind of right; what is missing is named.
func TestRights(t *testing.T) {
	w := newWorld()
	api := newAPI(w)
	ran := 0
	for path, o := range map[string]operation.Operation{
		"/permission": {Permissions: "orders.read"},
		"/query":      {Permissions: "orders.read AND NOT legacy.x AND (orders.write OR other.write)"},
		"/unwanted":   {Permissions: "NOT orders.read"},
		"/license":    {Licenses: []string{"pro"}},
		"/role":       {Roles: []string{"clerk"}},
		"/group":      {Groups: []string{"store"}},
		"/past":       {Licenses: []string{"past"}},
		"/roles":      {Roles: []string{"clerk", "boss"}},
	} {
		o.Path = path
		operation.Get(api, o, func(context.Context, struct{}) (operation.None, error) {
			ran++
			return operation.None{}, nil
		})
	}
	for _, c := range []struct {
		path, secret string
		status       int
		detail       string
	}{
		{"/permission", "full", 204, ""},
		{"/permission", "bare", 403, "Needs the permission orders.read"},
		{"/query", "full", 204, ""},
		{"/query", "bare", 403, "Needs these permissions: orders.read AND (orders.write OR other.write)"},
		{"/unwanted", "bare", 204, ""},
		{"/unwanted", "full", 403, "Needs these permissions: NOT orders.read"},
		{"/license", "full", 204, ""},
		{"/license", "bare", 403, "Needs the license pro"},
		{"/past", "full", 403, "Needs the license past"},
		{"/role", "full", 204, ""},
		{"/role", "bare", 403, "Needs the role clerk"},
		{"/roles", "full", 403, "Needs the role boss"},
		{"/group", "full", 204, ""},
		{"/group", "bare", 403, "Needs the group store"},
	} {
		ran = 0
		answer, body := call(t, api, "GET", "/api"+c.path, c.secret, "")
		if answer.StatusCode != c.status || (ran == 1) != (c.status == 204) {
			t.Errorf("%s as %s: %d, ran %d times: %v", c.path, c.secret, answer.StatusCode, ran, body)
		}
		if detail, _ := body["detail"].(string); !strings.HasPrefix(detail, c.detail) {
			t.Errorf("%s as %s: detail %q, want %q", c.path, c.secret, detail, c.detail)
		}
		if c.status == 403 && answer.Header.Get("Content-Type") != "application/problem+json; charset=utf-8" {
			t.Errorf("%s: %s", c.path, answer.Header.Get("Content-Type"))
		}
	}
}

// anonymous callers pass where that is wanted, bad credentials nowhere. S5-11: public operations look at none.
func TestAnonymousAndPublic(t *testing.T) {
	w := newWorld()
	api := newAPI(w)
	operation.Get(api, operation.Operation{Path: "/optional", Anonymous: true}, greet)
	operation.Get(api, operation.Operation{Path: "/public", Public: true},
		func(context.Context, struct{}) (protectedReply, error) { return protectedReply{"hello"}, nil })
	for _, c := range []struct {
		path, secret string
		status       int
		message      any
	}{
		{"/optional", "", 200, "Access granted for "},
		{"/optional", "bare", 200, "Access granted for token:7"},
		{"/optional", "wrong", 401, nil},
		{"/public", "", 200, "hello"},
		{"/public", "wrong", 200, "hello"},
	} {
		if answer, body := call(t, api, "GET", "/api"+c.path, c.secret, ""); answer.StatusCode != c.status ||
			body["Message"] != c.message {
			t.Errorf("%s with %q: %d %v", c.path, c.secret, answer.StatusCode, body)
		}
	}
	if len(w.asked) != 2 {
		t.Errorf("the verifier was asked %d times, want 2", len(w.asked))
	}
}

func TestIdentityHeadersOfClientsAreRemoved(t *testing.T) { // bar 90
	type in struct {
		Owner string `header:"X-Latchward-Owner,omitzero"`
	}
	api := newAPI(newWorld())
	seen := func(_ context.Context, in in) (protectedReply, error) { return protectedReply{in.Owner}, nil }
	operation.Get(api, operation.Operation{Path: "/a"}, seen)
	operation.Get(api, operation.Operation{Path: "/b", Public: true}, seen)
	for _, path := range []string{"/api/a", "/api/b"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", "Bearer bare")
		r.Header.Set("X-Latchward-Owner", "user:1")
		recorder := httptest.NewRecorder()
		api.ServeHTTP(recorder, r)
		if recorder.Code != 200 || strings.Contains(recorder.Body.String(), "user:1") {
			t.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
		}
	}
}

type page struct {
	Limit  int `query:"limit" range:"1,100" default:"20" doc:"At most this many."`
	Offset int `query:"offset,omitzero" range:"0,"`
}

type item struct {
	Name  string   `json:"name" range:"1,10"`
	Price float64  `json:"price" range:"0,"`
	Kind  string   `json:"kind,omitempty" enum:"book,map"`
	Tags  []string `json:"tags,omitempty" range:",2"`
	Sub   []item   `json:"sub,omitempty"`
}

type everything struct {
	page
	operation.Subject
	ID     int64             `path:"id" range:"1,"`
	Colour []string          `query:"colour,omitzero" enum:"red,blue"`
	Since  *time.Time        `query:"since,omitzero"`
	Trace  string            `header:"X-Trace,omitzero"`
	Item   item              `json:"item"`
	Labels map[string]string `json:"labels,omitempty"`
	Count  uint8             `json:"count,omitempty"`
}

func (e *everything) Validate() error {
	if e.Trace == "bad" {
		return latchward.Invalid("X-Trace", "must be good")
	}
	return nil
}

func TestInput(t *testing.T) {
	var got everything
	api := newAPI(newWorld())
	operation.Post(api, operation.Operation{Path: "/v1/{id}/items", Status: 201},
		func(_ context.Context, in everything) (item, error) { got = in; return in.Item, nil })
	answer, body := call(t, api, "POST", "/api/v1/5/items?offset=3&colour=red&colour=blue&since=2026-01-02T03:04:05Z",
		"bare", `{"item":{"name":"Ä<b>","price":1.5,"sub":[{"name":"x","price":0}]},"labels":{"a":"b"},"count":255}`)
	if answer.StatusCode != 201 || body["name"] != "Ä<b>" {
		t.Fatalf("%d %v", answer.StatusCode, body)
	}
	if got.ID != 5 || got.Limit != 20 || got.Offset != 3 || !slices.Equal(got.Colour, []string{"red", "blue"}) ||
		got.Since.Year() != 2026 || got.Item.Sub[0].Name != "x" || got.Labels["a"] != "b" || got.Count != 255 ||
		got.Subject.ID() != "token:7" {
		t.Errorf("got %+v", got)
	}
	const good = `{"item":{"name":"a","price":1}}`
	for _, c := range []struct {
		target, body, field string
	}{
		{"/5/items?limit=0", good, "limit"},
		{"/5/items?limit=101", good, "limit"},
		{"/5/items?limit=", good, "limit"},
		{"/5/items?limit=1&limit=2", good, "limit"},
		{"/5/items?offset=-1", good, "offset"},
		{"/5/items?offset=99999999999999999999", good, "offset"},
		{"/5/items?colour=green", good, "colour[0]"},
		{"/5/items?since=yesterday", good, "since"},
		{"/5/items?nonsense=1", good, "nonsense"},
		{"/5/items?colour=%FF", good, "colour"},
		{"/0/items", good, "id"},
		{"/x/items", good, "id"},
		{"/5/items", ``, ""},
		{"/5/items", `{`, ""},
		{"/5/items", `[]`, ""},
		{"/5/items", `{}`, "item"},
		{"/5/items", `{"item":null}`, "item"},
		{"/5/items", `{"item":{"name":"a","price":1},"ID":9}`, "ID"},
		{"/5/items", `{"item":{"name":"a","price":1},"Subject":{}}`, "Subject"},
		{"/5/items", `{"Item":{"name":"a","price":1}}`, "Item"},
		{"/5/items", `{"item":{"name":"","price":1}}`, "item.name"},
		{"/5/items", `{"item":{"name":"01234567890","price":1}}`, "item.name"},
		{"/5/items", `{"item":{"name":"a","price":-1}}`, "item.price"},
		{"/5/items", `{"item":{"name":"a","price":1,"kind":"cd"}}`, "item.kind"},
		{"/5/items", `{"item":{"name":"a","price":1,"tags":["a","b","c"]}}`, "item.tags"},
		{"/5/items", `{"item":{"name":"a","price":1,"sub":[{"name":"x"}]}}`, "item.sub[0].price"},
		{"/5/items", `{"item":{"name":"a","price":1},"labels":{"a":1}}`, "labels.a"},
		{"/5/items", `{"item":{"name":"a","price":1},"count":256}`, "count"},
		{"/5/items", `{"item":{"name":"a","price":1}} x`, ""},
	} {
		answer, body := call(t, api, "POST", "/api/v1"+c.target, "bare", c.body)
		if field, _ := body["field"].(string); answer.StatusCode != 400 || field != c.field || body["code"] != "invalid" {
			t.Errorf("%s %s: %d %v, want field %q", c.target, c.body, answer.StatusCode, body, c.field)
		}
	}
}

func TestHooksAndFaultsOfHTTP(t *testing.T) {
	api := operation.New(operation.Options{Verifier: newWorld(), MaxBody: 40})
	operation.Post(api, operation.Operation{Path: "/{id}/items"},
		func(_ context.Context, in everything) (item, error) { return in.Item, nil })
	const good = `{"item":{"name":"a","price":1}}`
	for _, c := range []struct {
		name, media, body, trace string
		status                   int
	}{
		{"good", "application/json", good, "ok", 200},
		{"method Validate", "application/json", good, "bad", 400},
		{"media type", "text/plain", good, "ok", 415},
		{"too large", "application/json", good + strings.Repeat(" ", 40), "ok", 413},
	} {
		r := httptest.NewRequest("POST", "/1/items", strings.NewReader(c.body))
		r.Header.Set("Authorization", "Bearer bare")
		r.Header.Set("Content-Type", c.media)
		r.Header.Set("X-Trace", c.trace)
		w := httptest.NewRecorder()
		if api.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

func TestErrors(t *testing.T) {
	var failure error
	api := newAPI(newWorld())
	operation.Get(api, operation.Operation{Path: "/fail"},
		func(context.Context, struct{}) (protectedReply, error) { return protectedReply{"secret"}, failure })
	for _, code := range latchward.Codes() {
		failure = latchward.Errorf(code, "what happened")
		answer, body := call(t, api, "GET", "/api/fail", "bare", "")
		if answer.StatusCode < 400 || body["code"] != string(code) || body["Message"] != nil {
			t.Errorf("%s: %d %v", code, answer.StatusCode, body)
		}
	}
	failure = errors.New("password of the database")
	if answer, body := call(t, api, "GET", "/api/fail", "bare", ""); answer.StatusCode != 500 ||
		strings.Contains(body["detail"].(string), "password") {
		t.Errorf("%d %v", answer.StatusCode, body)
	}
}

func TestPaths(t *testing.T) {
	type byName struct {
		Name string `path:"name"`
	}
	api := newAPI(newWorld())
	echo := func(_ context.Context, in byName) (protectedReply, error) { return protectedReply{in.Name}, nil }
	fixed := func(context.Context, struct{}) (protectedReply, error) { return protectedReply{"fixed"}, nil }
	operation.Get(api, operation.Operation{Path: "/a/{name}"}, echo)
	operation.Get(api, operation.Operation{Path: "/a/{name}/c"}, echo)
	operation.Get(api, operation.Operation{Path: "/a/b"}, fixed)
	operation.Delete(api, operation.Operation{Path: "/a/b"}, fixed)
	for _, c := range []struct {
		method, path string
		status       int
		message      any
	}{
		{"GET", "/api/a/b", 200, "fixed"},
		{"HEAD", "/api/a/b", 200, nil},
		{"DELETE", "/api/a/b", 200, "fixed"},
		{"GET", "/api/a/x%20y", 200, "x y"},
		{"GET", "/api/a/b/c", 200, "b"},
		{"GET", "/api/a/%62", 200, "fixed"}, // as it is judged
		{"PUT", "/api/a/b", 405, nil},
		{"GET", "/api/a", 404, nil},
		{"GET", "/api/a/", 404, nil},
		{"GET", "/api/a/b/c/d", 404, nil},
		{"GET", "/a/b", 404, nil},
		{"GET", "/api/a/../a/b", 400, nil},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Authorization", "Bearer bare")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if message, _ := c.message.(string); w.Code != c.status || !strings.Contains(w.Body.String(), message) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if allow := w.Header().Get("Allow"); c.status == 405 && allow != "DELETE, GET, HEAD" {
			t.Errorf("Allow: %s", allow)
		}
	}
}

// What can never work shows when the program starts.
func TestMistakesPanic(t *testing.T) {
	type noTag struct{ X int }
	type wrongPath struct {
		ID int `path:"id"`
	}
	type sees struct {
		Secret string `header:"authorization"`
	}
	type function struct{ F func() }
	type badDefault struct {
		N int `query:"n" default:"x"`
	}
	for name, add := range map[string]func(*operation.API){
		"body of GET":   func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/x"}, take[noTag]) },
		"no such place": func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/x"}, take[wrongPath]) },
		"no field":      func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/{x}"}, take[struct{}]) },
		"credential":    func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/x"}, take[sees]) },
		"no JSON":       func(a *operation.API) { operation.Post(a, operation.Operation{Path: "/x"}, take[function]) },
		"default":       func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/x"}, take[badDefault]) },
		"no struct":     func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/x"}, take[int]) },
		"path":          func(a *operation.API) { operation.Get(a, operation.Operation{Path: "x"}, take[struct{}]) },
		"path form":     func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/%61"}, take[struct{}]) },
		"braces":        func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/a{x}"}, take[struct{}]) },
		"twice":         func(a *operation.API) { operation.Get(a, operation.Operation{Path: "/taken"}, take[struct{}]) },
		"same ID": func(a *operation.API) {
			operation.Get(a, operation.Operation{Path: "/x", ID: "getTaken"}, take[struct{}])
		},
		"query": func(a *operation.API) {
			operation.Get(a, operation.Operation{Path: "/x", Permissions: "a.b AND"}, take[struct{}])
		},
		"rights of nobody": func(a *operation.API) {
			operation.Get(a, operation.Operation{Path: "/x", Roles: []string{"r"}, Anonymous: true}, take[struct{}])
		},
		"public subject": func(a *operation.API) {
			operation.Get(a, operation.Operation{Path: "/x", Public: true}, take[protectedRequest])
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(newWorld())
			operation.Get(api, operation.Operation{Path: "/taken"}, take[struct{}])
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			add(api)
		})
	}
}

func take[In any](context.Context, In) (operation.None, error) { return operation.None{}, nil }

var _ http.Handler = (*operation.API)(nil)
