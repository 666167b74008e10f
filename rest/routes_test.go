package rest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// keyManager keeps the server keys nowhere.
type keyManager struct {
	service *latchward.Service
	made    int
}

func (m *keyManager) RotateKey(ctx context.Context) error {
	m.made++
	ring, err := m.service.Keys().Rotate(strings.NewReader(fmt.Sprintf("key %060d", m.made)), start)
	if err != nil {
		return err
	}
	return m.service.UseKeys(ctx, ring)
}

func (m *keyManager) DropKey(ctx context.Context, version int) error {
	ring, err := m.service.Keys().Drop(version)
	if err != nil {
		return err
	}
	return m.service.UseKeys(ctx, ring)
}

// populated is a world in which token 1 is the administrator's, token 2 the member's, token 3 verifies, and server key
// 1 is retired.
type populated struct {
	*world
	tokens [4]latchward.IssuedToken
}

func newPopulated(t testing.TB) *populated {
	t.Helper()
	keys := &keyManager{}
	p := &populated{world: newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Keys = keys })}
	keys.service = p.service
	must(t, keys.RotateKey(asAdmin()))
	p.tokens[1] = p.issue(latchward.NewToken{Name: "Mine"})
	p.tokens[2] = p.issue(latchward.NewToken{
		Name: "Theirs", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(p.member.ID)},
	})
	p.tokens[3] = p.verifier()
	return p
}

// routeCase says how a route answers.
type routeCase struct {
	target  string // that succeeds, with body
	body    string
	status  int              // 0 = 200
	invalid []invalidCase    // each is 400 and names the field
	gone    string           // target that is 404
	member  int              // status for a member; 0 = 200
	needs   func(*populated) // prepares success
}

type invalidCase struct{ target, body, field string }

// routeCases has one entry for each route, by operation id.
var routeCases = map[string]routeCase{
	"createToken": {
		target: "/api/api-tokens", body: `{"name":"New"}`, status: 201, member: 201,
		invalid: []invalidCase{
			{body: `{"name":"` + strings.Repeat("x", 256) + `"}`, field: "name"},
			{body: `{"kind":"robot"}`, field: "kind"},
			{target: "/api/api-tokens?expand=*", body: `{}`, field: "expand"},
		},
	},
	"listTokens": {
		target: "/api/api-tokens?limit=1&sort=name&order=asc&status=active&kind=personal&q=i&unused_since=2030-01-01",
		invalid: []invalidCase{
			{target: "/api/api-tokens?limit=0", field: "limit"},
			{target: "/api/api-tokens?limit=1001", field: "limit"},
			{target: "/api/api-tokens?limit=1000000000", field: "limit"},
			{target: "/api/api-tokens?limit=-1", field: "limit"},
			{target: "/api/api-tokens?limit=1.5", field: "limit"},
			{target: "/api/api-tokens?limit=%201", field: "limit"},
			{target: "/api/api-tokens?limit=null", field: "limit"},
			{target: "/api/api-tokens?limit=1&limit=2", field: "limit"},
			{target: "/api/api-tokens?sort=token", field: "sort"},
			{target: "/api/api-tokens?sort=id;drop", field: ""},
			{target: "/api/api-tokens?order=up", field: "order"},
			{target: "/api/api-tokens?status=dead", field: "status"},
			{target: "/api/api-tokens?kind=root", field: "kind"},
			{target: "/api/api-tokens?owner=ada", field: "owner"},
			{target: "/api/api-tokens?unused_since=yesterday", field: "unused_since"},
			{target: "/api/api-tokens?expires_before=2026-13-01", field: "expires_before"},
			{target: "/api/api-tokens?cursor=AAAA", field: "cursor"},
			{target: "/api/api-tokens?fields=secret", field: "fields"},
		},
	},
	"usageOverview": {
		target: "/api/api-tokens/stats/overview?days=365",
		invalid: []invalidCase{
			{target: "/api/api-tokens/stats/overview?days=0", field: "days"},
			{target: "/api/api-tokens/stats/overview?days=366", field: "days"},
			{target: "/api/api-tokens/stats/overview?days=7%27%20OR%201=1", field: "days"},
		},
	},
	"getToken": {
		target: "/api/api-tokens/2", gone: "/api/api-tokens/99", invalid: []invalidCase{
			{target: "/api/api-tokens/abc", field: "id"},
			{target: "/api/api-tokens/-1", field: "id"},
			{target: "/api/api-tokens/+1", field: "id"},
			{target: "/api/api-tokens/1.0", field: "id"},
			{target: "/api/api-tokens/%31", field: "id"},
			{target: "/api/api-tokens/1'%20OR%201=1", field: "id"},
			{target: "/api/api-tokens/2?expand=token", field: "expand"},
		},
	},
	"updateToken": {
		target: "/api/api-tokens/2", body: `{"description":"x"}`, gone: "/api/api-tokens/99",
		invalid: []invalidCase{{body: `{"rate_limit":0}`, field: "rate_limit"}, {body: `{"active":null}`, field: "active"}},
	},
	"deleteToken": {target: "/api/api-tokens/2", gone: "/api/api-tokens/99"},
	"tokenUsage": {
		target: "/api/api-tokens/2/usage?days=1", gone: "/api/api-tokens/99/usage",
		invalid: []invalidCase{
			{target: "/api/api-tokens/2/usage?days=x", field: "days"}, {target: "/api/api-tokens/x/usage", field: "id"},
		},
	},
	"revokeToken": {
		target: "/api/api-tokens/2/revoke", body: `{"reason":"lost"}`, gone: "/api/api-tokens/99/revoke",
		invalid: []invalidCase{
			{body: `{"reason":"` + strings.Repeat("x", 256) + `"}`, field: "reason"},
			{target: "/api/api-tokens/two/revoke", field: "id"},
		},
	},
	"rotateToken": {
		target: "/api/api-tokens/2/rotate", gone: "/api/api-tokens/99/rotate",
		invalid: []invalidCase{
			{body: `{"grace_seconds":60}`, field: "grace_seconds"}, {target: "/api/api-tokens/2.5/rotate", field: "id"},
		},
	},
	"verify": {
		target: "/api/latchward/verify", body: `{"token":"x"}`,
		invalid: []invalidCase{{body: `{}`, field: "token"}, {body: `{"token":1}`, field: "token"}},
	},
	"verifyBatch": {
		target: "/api/latchward/verify/batch", body: `{"requests":[{"token":"x"}]}`,
		invalid: []invalidCase{{body: `{"requests":[]}`, field: "requests"}, {body: `{}`, field: "requests"}},
	},
	"reportUsage": {
		target:  "/api/latchward/usage",
		body:    `{"events":[{"request_id":"r1","token_id":2,"path":"/products","method":"GET","status":200}]}`,
		invalid: []invalidCase{{body: `{"events":[]}`, field: "events"}, {body: `{"events":[{}]}`, field: "events[0].request_id"}},
	},
	"listUsers": {
		target: "/api/latchward/users?limit=1&q=a&include_removed=true", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/users?include_removed=yes", field: "include_removed"},
			{target: "/api/latchward/users?cursor=x", field: "cursor"},
		},
	},
	"createUser": {
		target: "/api/latchward/users", body: `{"email":"eve@example.com","administrator":true}`, status: 201, member: 403,
		invalid: []invalidCase{
			{body: `{}`, field: "email"}, {body: `{"email":"nobody"}`, field: "email"},
			{body: `{"name":"x","administrator":"yes"}`, field: "administrator"}, {body: `{"name":"x","id":9}`, field: "id"},
		},
	},
	"getUser": {
		target: "/api/latchward/users/2", gone: "/api/latchward/users/99",
		invalid: []invalidCase{{target: "/api/latchward/users/max", field: "id"}},
	},
	"updateUser": {
		target: "/api/latchward/users/2", body: `{"active":false}`, gone: "/api/latchward/users/99", member: 403,
		invalid: []invalidCase{{body: `{"active":null}`, field: "active"}, {body: `{"removed_at":null}`, field: "removed_at"}},
	},
	"removeUser": {target: "/api/latchward/users/2", gone: "/api/latchward/users/99", member: 403},
	"listKeys":   {target: "/api/latchward/keys", member: 403},
	"rotateKey": {
		target: "/api/latchward/keys/rotate", member: 403,
		invalid: []invalidCase{{body: `{"version":2}`, field: "version"}},
		needs:   func(p *populated) { must(p.t, p.options.Keys.DropKey(asAdmin(), 1)) },
	},
	"dropKey": {
		target: "/api/latchward/keys/1", gone: "/api/latchward/keys/60", member: 403,
		invalid: []invalidCase{{target: "/api/latchward/keys/one", field: "version"}},
	},
	"listAudit": {
		target: "/api/latchward/audit?limit=2&action=token.create&target_type=token&target_id=1", member: 403,
		invalid: []invalidCase{
			{target: "/api/latchward/audit?target_type=moon", field: "target_type"},
			{target: "/api/latchward/audit?limit=x", field: "limit"},
		},
	},
	"openapi":    {target: "/api/latchward/openapi.json"},
	"docs":       {target: "/api/latchward/docs"},
	"docsStart":  {target: "/api/latchward/docs/start.js"},
	"docsScalar": {target: "/api/latchward/docs/scalar.js"},
}

// eachRoute runs f for every route with what is said about it, each in a world of its own.
func eachRoute(t *testing.T, f func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase)) {
	routes := rest.Routes(newPopulated(t).handler)
	if len(routes) != len(routeCases) {
		t.Errorf("%d routes and %d cases", len(routes), len(routeCases))
	}
	for _, r := range routes {
		c, ok := routeCases[r.ID]
		if !ok {
			t.Errorf("nothing is said about %s %s", r.Method, r.Path)
			continue
		}
		if c.status == 0 {
			c.status = http.StatusOK
		}
		t.Run(r.ID, func(t *testing.T) { f(t, newPopulated(t), r, c) })
	}
}

// bearer returns what may call r.
func (p *populated) bearer(r rest.RouteInfo) string {
	switch {
	case r.Public:
		return ""
	case r.Persons:
		return adminJWT
	default:
		return p.tokens[3].Secret.Expose()
	}
}

func TestRoutesSucceed(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if c.needs != nil {
			c.needs(w)
		}
		answer := w.do(r.Method, c.target, w.bearer(r), c.body)
		if answer.Code != c.status {
			t.Fatalf("status %d, want %d: %s", answer.Code, c.status, answer.Body)
		}
		h := answer.Header()
		if media := h.Get("Content-Type"); r.Reply != (media == "application/json; charset=utf-8") && r.ID != "openapi" ||
			!strings.HasSuffix(media, "; charset=utf-8") {
			t.Errorf("Content-Type is %q", media)
		}
		checkCommonHeaders(t, h)
		if !r.Public && h.Get("Vary") != "Authorization" { // bar 20
			t.Errorf("Vary is %q", h.Get("Vary"))
		}
	})
}

// bar 20, 112
func checkCommonHeaders(t *testing.T, h http.Header) {
	t.Helper()
	if h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Cache-Control"), "no-store") {
		t.Errorf("headers %v", h)
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") || name == "Server" {
			t.Errorf("header %s is sent", name)
		}
	}
}

func TestRoutesRefuseInvalid(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		for _, bad := range c.invalid {
			if bad.target == "" {
				bad.target = c.target
			}
			answer := w.do(r.Method, bad.target, w.bearer(r), bad.body)
			p := problem(t, answer)
			if answer.Code != http.StatusBadRequest || p.Code != "invalid" || p.Field != bad.field {
				t.Errorf("%s %s: status %d, %+v; want field %q", bad.target, bad.body, answer.Code, p, bad.field)
			}
			checkCommonHeaders(t, answer.Header())
		}
	})
}

// S2-09, S1-09, C-04, bar 14, X-08
func TestRoutesRefuseStrangers(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if r.Public {
			return
		}
		revoked := w.issue(latchward.NewToken{})
		_, err := w.service.RevokeToken(asAdmin(), revoked.Token.ID, "")
		must(t, err)
		bodies := map[string]bool{}
		for _, bearer := range []string{brokenJWT, "garbage", revoked.Secret.Expose(), w.tokens[1].Secret.Expose() + "x"} {
			answer := w.do(r.Method, c.target, bearer, c.body)
			p := problem(t, answer)
			if answer.Code != http.StatusUnauthorized || p.Code != "invalid_token" || p.Error != "Invalid token" ||
				answer.Header().Get("WWW-Authenticate") != `Bearer realm="latchward", error="invalid_token"` {
				t.Errorf("%q: status %d, %+v", bearer, answer.Code, p)
			}
			checkCommonHeaders(t, answer.Header())
			bodies[answer.Body.String()+fmt.Sprint(answer.Header())] = true
		}
		if len(bodies) != 1 {
			t.Errorf("%d different refusals", len(bodies))
		}
		answer := w.do(r.Method, c.target, "", c.body)
		if answer.Code != http.StatusUnauthorized || answer.Header().Get("WWW-Authenticate") != `Bearer realm="latchward"` {
			t.Errorf("without a credential: status %d, %v", answer.Code, answer.Header())
		}
		if answer := w.do(r.Method, c.target, failedJWT, c.body); answer.Code != http.StatusServiceUnavailable {
			t.Errorf("while nobody can sign in: status %d", answer.Code)
		}
		request := httptest.NewRequest(r.Method, c.target, strings.NewReader(c.body))
		request.Header["Authorization"] = []string{"Bearer " + adminJWT, "Bearer " + adminJWT}
		if answer := w.serve(request); answer.Code != http.StatusBadRequest { // bar 11
			t.Errorf("with two credentials: status %d", answer.Code)
		}
		separator := "?"
		if strings.Contains(c.target, "?") {
			separator = "&"
		}
		answer = w.do(r.Method, c.target+separator+"access_token="+w.tokens[1].Secret.Expose(), w.bearer(r), c.body)
		if answer.Code != http.StatusBadRequest || strings.Contains(answer.Body.String(), "lw_") { // bar 13
			t.Errorf("with a credential in the query: status %d %s", answer.Code, answer.Body)
		}
	})
}

// X-08, bar 102: an API token at the management API is refused on every route, and pays nothing for it.
func TestRoutesRefuseTokens(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Persons {
			return
		}
		for _, token := range []latchward.IssuedToken{w.tokens[1], w.tokens[3], w.issue(latchward.NewToken{
			Kind: latchward.KindService, Permissions: []string{"tokens.create", "tokens.read", "users.read", "keys.rotate"},
		})} {
			answer := w.do(r.Method, c.target, token.Secret.Expose(), c.body)
			if p := problem(t, answer); answer.Code != http.StatusForbidden || p.Code != "forbidden" ||
				!strings.Contains(p.Error, "API tokens cannot manage tokens") {
				t.Errorf("status %d, %+v", answer.Code, p)
			}
			v, err := w.service.Verify(context.Background(), latchward.VerifyRequest{Secret: token.Secret, DryRun: true})
			must(t, err)
			if v.Limit.Remaining != v.Limit.Limit {
				t.Errorf("a refused call cost %d", v.Limit.Limit-v.Limit.Remaining)
			}
		}
		_, err := w.service.UpdateToken(asAdmin(), 1, latchward.TokenUpdate{Active: new(bool)})
		must(t, err)
		answer := w.do(r.Method, c.target, w.tokens[1].Secret.Expose(), c.body)
		if p := problem(t, answer); answer.Code != http.StatusUnauthorized || p.Error != "Token is disabled" { // S2-19
			t.Errorf("disabled: status %d, %+v", answer.Code, p)
		}
	})
}

// what a proven token was refused is recorded as usage of that token.
func TestRefusedTokensAreTracked(t *testing.T) {
	w := newPopulated(t)
	w.do(http.MethodGet, "/api/api-tokens", w.tokens[1].Secret.Expose(), "")
	usage, err := w.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if len(usage.Recent) != 1 || usage.Recent[0].Status != 403 || usage.Recent[0].Endpoint != "/api-tokens" {
		t.Errorf("usage %+v", usage.Recent)
	}
}

// X-09, S1-13: what is an administrator's is 403 for a member, and another's token is a token that is not there.
func TestRoutesRefuseMembers(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Persons {
			if !r.Public {
				for _, bearer := range []string{adminJWT, memberJWT, w.tokens[1].Secret.Expose()} {
					if answer := w.do(r.Method, c.target, bearer, c.body); answer.Code != http.StatusForbidden {
						t.Errorf("%s: status %d", bearer[:6], answer.Code)
					}
				}
			}
			return
		}
		want := c.member
		if want == 0 {
			want = c.status
		}
		if strings.HasPrefix(c.target, "/api/api-tokens/2") {
			foreign := strings.Replace(c.target, "/2", "/1", 1)
			theirs, none := w.do(r.Method, foreign, memberJWT, c.body), w.do(r.Method, strings.Replace(c.target, "/2", "/99", 1), memberJWT, c.body)
			if theirs.Code != http.StatusNotFound || theirs.Body.String() != none.Body.String() {
				t.Errorf("another's token: status %d %s, want that of none: %s", theirs.Code, theirs.Body, none.Body)
			}
		}
		if answer := w.do(r.Method, c.target, memberJWT, c.body); answer.Code != want {
			t.Errorf("status %d, want %d: %s", answer.Code, want, answer.Body)
		}
	})
}

// S2-22
func TestRoutesFindNothing(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if strings.Contains(r.Path, "{") != (c.gone != "") {
			t.Fatal("a route with a number in its path needs a target that is not there")
		}
		if c.gone == "" {
			return
		}
		if p := problem(t, w.do(r.Method, c.gone, adminJWT, c.body)); p.Status != http.StatusNotFound || p.Code != "not_found" {
			t.Errorf("%+v", p)
		}
	})
	w := newPopulated(t)
	for _, target := range []string{
		"/", "/api", "/api/", "/api/api-tokens/", "/api/api-tokens/1/", "/api/api-tokens/1/other", "/api/api-tokens//1",
		"/api/api-tokens/1%2Fusage", "/API/api-tokens", "/api/latchward", "/api/latchward/", "/api/latchward/docs/",
		"/api/latchward/docs/../docs", "/api/api-tokens/1/usage/", "/api/products",
	} {
		answer := w.do(http.MethodGet, target, adminJWT, "")
		if answer.Code != http.StatusNotFound && (answer.Code != http.StatusBadRequest || !strings.Contains(target, "%2F")) {
			t.Errorf("%s: status %d", target, answer.Code)
		}
		checkCommonHeaders(t, answer.Header())
	}
	answer := w.do(http.MethodGet, "/api/api-tokens/99999999999999999999999", adminJWT, "")
	if answer.Code != http.StatusNotFound {
		t.Errorf("a number too large for any token: status %d", answer.Code)
	}
}

// bar 112
func TestMethods(t *testing.T) {
	w := newPopulated(t)
	allowed := map[string][]string{}
	target := map[string]string{}
	for _, r := range rest.Routes(w.handler) {
		target[r.Path] = strings.NewReplacer("{id}", "1", "{version}", "1").Replace(r.Path)
		allowed[r.Path] = append(allowed[r.Path], r.Method)
		if r.Method == http.MethodGet {
			allowed[r.Path] = append(allowed[r.Path], http.MethodHead)
		}
	}
	for path, methods := range allowed {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "FOO"} {
			if slices.Contains(methods, method) {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, target[path], nil)
			r.Method = method
			r.Header.Set("Authorization", "Bearer "+adminJWT)
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Access-Control-Request-Method", "DELETE")
			answer := w.serve(r)
			if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != strings.Join(methods, ", ") {
				t.Errorf("%s %s: status %d, Allow %q", method, path, answer.Code, answer.Header().Get("Allow"))
			}
			checkCommonHeaders(t, answer.Header())
		}
	}
	if answer := w.do(http.MethodHead, "/api/api-tokens", adminJWT, ""); answer.Code != http.StatusOK {
		t.Errorf("HEAD: status %d", answer.Code)
	}
}

// bar 98, 105, 114, S2-08: what a body may not be, on every route that takes one.
func TestBodies(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Body {
			return
		}
		full := c.body
		if full == "" {
			full = "{}"
		}
		send := func(media, encoding string, body io.Reader) *httptest.ResponseRecorder {
			request := httptest.NewRequest(r.Method, c.target, body)
			request.Header.Set("Authorization", "Bearer "+w.bearer(r))
			if media != "" {
				request.Header.Set("Content-Type", media)
			}
			if encoding != "" {
				request.Header.Set("Content-Encoding", encoding)
			}
			return w.serve(request)
		}
		for _, media := range []string{"", "text/plain", "text/plain;application/json", "application/x-www-form-urlencoded",
			"multipart/form-data", "application/json; charset=latin1", "application/json, text/plain", "application/jsonx"} {
			if answer := send(media, "", strings.NewReader(full)); answer.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%q: status %d", media, answer.Code)
			}
		}
		for _, encoding := range []string{"gzip", "deflate", "br", "gzip, identity"} {
			if answer := send("application/json", encoding, strings.NewReader(full)); answer.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%q: status %d", encoding, answer.Code)
			}
		}
		large := strings.Repeat(" ", rest.MaxBody) + full
		for _, body := range []io.Reader{strings.NewReader(large), io.MultiReader(strings.NewReader(large))} { // with and without a length
			if answer := send("application/json", "", body); answer.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("1 MiB and more: status %d", answer.Code)
			}
		}
		const secret = "hunter2hunter2"
		for _, body := range []string{
			`{`, `[]`, `null`, `"x"`, `1`, full + `{}`, full + `x`, full + "\x00", `{"` + secret + secret + secret + `":1}`,
			`{"` + secret + `":"` + secret, "\xef\xbb\xbf" + full, "{\"\xff\":1}", `{"a":1,}`, `{'a':1}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`,
			`{"a":NaN}`, `{"a":"\x41"}`, `{"a":"\ud800"}`, `{"a":"` + "\n" + `"}`, `{"a":1 "b":2}`, `//` + full, `{"a":tru}`,
			strings.Repeat(`{"a":`, 100_000), strings.Repeat(`[`, 100_000), `{"a":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`,
			`{"a":` + strings.Repeat("9", 100_000) + `}`, `{"constructor":{}}`, `{"__proto__":{"admin":true}}`,
		} {
			answer := send("application/json", "", strings.NewReader(body))
			if answer.Code != http.StatusBadRequest {
				t.Errorf("%.60q: status %d %s", body, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Body.String(), secret+secret) || len(answer.Body.String()) > 1000 {
				t.Errorf("%.60q is repeated: %.200s", body, answer.Body)
			}
		}
		if strings.HasPrefix(full, `{"`) { // one member twice, by any spelling of its name
			name, _, _ := strings.Cut(full[2:], `"`)
			for _, again := range []string{name, fmt.Sprintf(`\u%04x%s`, name[0], name[1:])} {
				body := strings.TrimSuffix(full, "}") + `,"` + again + `":null}`
				if p := problem(t, send("application/json", "", strings.NewReader(body))); p.Status != http.StatusBadRequest || p.Field != name {
					t.Errorf("%s: %+v", body, p)
				}
			}
			other := strings.ToUpper(name[:1]) + name[1:]
			body := strings.Replace(full, name, other, 1)
			if p := problem(t, send("application/json", "", strings.NewReader(body))); p.Status != http.StatusBadRequest || p.Field != other {
				t.Errorf("%s: %+v", body, p)
			}
		}
	})
}
