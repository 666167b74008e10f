package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

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
	case r.Holders:
		return p.tokens[1].Secret.Expose()
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
		_, err := w.service.RevokeToken(asAdmin(), revoked.Token.ID, latchward.Revocation{})
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
		var others []string // every permission but the one that lets tokens in
		permissions, err := w.service.Permissions(asAdmin())
		must(t, err)
		for _, p := range permissions {
			if p.Name != r.Permission {
				others = append(others, p.Name)
			}
		}
		for _, token := range []latchward.IssuedToken{w.tokens[1], w.tokens[3], w.issue(latchward.NewToken{
			Kind: latchward.KindService, Permissions: others,
		}), w.issue(latchward.NewToken{
			Permissions: []string{"tokens.*", "users.*", "*"}, // of an administrator, and personal
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
		_, err = w.service.UpdateToken(asAdmin(), 1, latchward.TokenUpdate{Active: new(bool)})
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
				others := []string{adminJWT, memberJWT}
				if !r.Holders {
					others = append(others, w.tokens[1].Secret.Expose())
				}
				for _, bearer := range others {
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
		if strings.Contains(c.target, "/2") && c.member == 0 { // the member's own
			foreign := strings.Replace(c.target, "/2", "/1", 1)
			theirs, none := w.do(r.Method, foreign, memberJWT, c.body), w.do(r.Method, strings.Replace(c.target, "/2", "/99",
				1), memberJWT, c.body)
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
		if strings.Contains(r.Path, "{") != (c.gone != "" || r.ID == "savePermission") {
			t.Fatal("a route with a parameter in its path needs a target that is not there")
		}
		if c.gone == "" {
			return
		}
		if p := problem(t, w.do(r.Method, c.gone, adminJWT, c.body)); p.Status != http.StatusNotFound ||
			p.Code != "not_found" {
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
		target[r.Path] = strings.NewReplacer("{id}", "1", "{version}", "1", "{user}", "1", "{name}", "a.b").Replace(r.Path)
		allowed[r.Path] = append(allowed[r.Path], r.Method)
		if r.Method == http.MethodGet {
			allowed[r.Path] = append(allowed[r.Path], http.MethodHead)
		}
	}
	for path, methods := range allowed {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
			"get", "FOO"} {
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
