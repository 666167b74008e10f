package gateway_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/latchtest"
)

// bar 23, 24, 25, 29, S2-16: raw targets, and the path that reaches the upstream; "" = refused with 400, - = 404
var targets = map[string]string{
	"/api/products":                        "/v1/products",
	"/api/products/1":                      "/v1/products/1",
	"/api/products/1/":                     "/v1/products/1/",
	"/api/Products/1":                      "/v1/Products/1",
	"/api/products?x":                      "/v1/products?x",
	"/api/products?":                       "/v1/products?",
	"/api/products/1?x=/../y":              "/v1/products/1?x=/../y",
	"/api/products/%31":                    "/v1/products/1",
	"/api/products/%7e%2D":                 "/v1/products/~-",
	"/api/products/1%3Fx":                  "/v1/products/1%3Fx",
	"/api/products/1%3fx":                  "/v1/products/1%3Fx",
	"/api/products/1%23x":                  "/v1/products/1%23x",
	"/api/products/1%20":                   "/v1/products/1%20",
	"/api/products/a%40b":                  "/v1/products/a%40b",
	"/api/products/a@b:c,d=e!f":            "/v1/products/a@b:c,d=e!f",
	"/api/products/%C3%A9":                 "/v1/products/%C3%A9",
	"/api/products/%c3%a9":                 "/v1/products/%C3%A9",
	"/api/products/\xc3\xa9":               "/v1/products/%C3%A9",
	"/api/a\"b<c>d|e{f}^`":                 "/v1/a%22b%3Cc%3Ed%7Ce%7Bf%7D%5E%60",
	"/api/products/100%25":                 "/v1/products/100%25",
	"/api/products/...":                    "/v1/products/...",
	"/api/.well-known":                     "/v1/.well-known",
	"/api":                                 "/v1/",
	"/api/":                                "/v1/",
	"/%61pi/products":                      "/v1/products",
	"http://api.example.com/api/products":  "/v1/products",
	"HTTP://api.example.com/api/products?": "/v1/products?",
	"http://API.example.com/api/products":  "/v1/products", // the Host header does not count beside it

	"/products": "-", "/apix/products": "-", "/API/products": "-", "/": "-", "/ap%69x": "-", "http://api.example.com": "-",

	"//api/products": "", "/api//products": "", "/api/products//1": "", "/api/./products": "", "/api/products/..": "",
	"/api/products/../admin": "", "/api/../admin": "", "/api/products/%2e%2e/admin": "", "/api/products/%2E./admin": "",
	"/api/products/.%2e/admin": "", "/api/products/%252e%252e/admin": "", "/api/%2e/products": "", "/api/products/.": "",
	"/api/products%2Fadmin": "", "/api/products%2fadmin": "", "/api%2Fproducts": "", "/api/products%5Cadmin": "",
	"/api/products\\admin": "", "/api/products;v=2": "", "/api/products;/../admin": "", "/api/products%3Bv=2": "",
	"/api/%c0%ae%c0%ae/admin": "", "/api/%c0%af": "", "/api/%e0%80%af": "", "/api/\xc0\xae": "", "/api/%ff": "",
	"/api/%ed%a0%80": "", "/api/products/%00": "", "/api/products%0d%0aX:y": "", "/api/products%0a": "", "/api/%7f": "",
	"/api/%zz": "", "/api/%": "", "/api/%2": "", "/api/products/1#f": "", "/api/products#": "", "/api/\x7f": "",
	"*": "", "api/products": "", "http:/api/products": "", "http://user@api.example.com/api/products": "",
	"ftp://api.example.com/api/products": "", "/api/%u0061": "", "/api/%252f": "", "/api/%%32f": "", "/api/%c2%85": "",
}

func TestTargets(t *testing.T) {
	w := start(t, nil)
	for target, want := range targets {
		a := w.only(w.request("GET", target))
		taken := w.upstream.take()
		if want == "" || want == "-" {
			wantStatus := map[string]int{"": 400, "-": 404}[want]
			if a.status != wantStatus || len(taken) != 0 {
				t.Errorf("%q: %d, the upstream saw %+v", target, a.status, taken)
			}
			continue
		}
		if a.status != 200 || len(taken) != 1 || taken[0].target != want {
			t.Errorf("%q: %d, the upstream saw %+v, want %s", target, a.status, taken, want)
			continue
		}
		judged, _, _ := strings.Cut(strings.TrimPrefix(want, "/v1"), "?")
		if e := w.event(); e.Endpoint != judged {
			t.Errorf("%q is recorded as %q, want %q", target, e.Endpoint, judged)
		}
	}
}

// bar 24: a restricted token gets through with a spelling exactly when the upstream sees what the pattern allows
func TestRestrictedTargets(t *testing.T) {
	w := start(t, nil)
	token := w.issue(latchward.NewToken{AllowedEndpoints: []string{"GET /products/*", "GET /reports/**"}})
	const allowed, denied, ambiguous = 200, 403, 400
	tests := map[string]int{
		"/api/products/1": allowed, "/api/products/%31": allowed, "/api/products/1?x": allowed, "/api/products/1%3Fx": allowed,
		"/api/reports/1/2": allowed, "/api/products/1%20": allowed, "/api/products/\xc3\xa9": allowed,
		"/api/products": denied, "/api/products/": denied, "/api/products/1/": denied, "/api/Products/1": denied,
		"/api/products/1/2": denied, "/api/admin?/products/1": denied, "/api/admin%3F/products/1": denied, "/api": denied,
		"/api//products/1": ambiguous, "/api/products//1": ambiguous, "/api/./products/1": ambiguous,
		"/api/products/1;v=2": ambiguous, "/api/products/1#f": ambiguous, "/api/products/a%2Fb": ambiguous,
		"/api/reports/../admin": ambiguous, "/api/reports/%2e%2e/admin": ambiguous, "/api/reports/..%2fadmin": ambiguous,
		"/api/reports/%252e%252e/admin": ambiguous, "/api/products/..": ambiguous,
	}
	for target, want := range tests {
		if a := w.only(w.requestAs(token, "GET", target)); a.status != want {
			t.Errorf("%q: %d, want %d", target, a.status, want)
		}
		if n := len(w.upstream.take()); n > 0 && want != allowed {
			t.Errorf("%q reached the upstream", target)
		}
	}
}

// bar 24: all spellings of one endpoint take from one limit
func TestSpellingsShareLimit(t *testing.T) {
	w := start(t, nil)
	token := w.issue(latchward.NewToken{RateLimit: 3})
	for i, target := range []string{"/api/a", "/api/%61", "/%61pi/a?b", "/api/a"} {
		a := w.only(w.requestAs(token, "GET", target))
		if want := []string{"2", "1", "0", "0"}[i]; a.header.Get("X-RateLimit-Remaining") != want {
			t.Errorf("request %d: %d, remaining %s", i, a.status, a.header.Get("X-RateLimit-Remaining"))
		}
	}
}

// bar 23, 33: generated spellings. What reaches the upstream is its own path and the judged path byte for byte, and
// other readers resolve it to nothing that was not judged.
func TestGeneratedTargets(t *testing.T) {
	w := start(t, nil)
	const seed = 23
	random := rand.New(rand.NewPCG(seed, seed))
	patterns, err := latchward.ParsePatterns("", []string{"/products/*", "/reports/**"})
	if err != nil {
		t.Fatal(err)
	}
	token := w.issue(latchward.NewToken{AllowedEndpoints: []string{"/products/*", "/reports/**"}})
	forwarded := 0
	for range latchtest.Scale(50_000, 500) {
		target := "/api" + spelling(random)
		a := w.only(w.requestAs(token, "GET", target))
		taken := w.upstream.take()
		raw, query, _ := strings.Cut(target, "?")
		canonical, err := latchward.CanonicalPath(raw)
		judged, under := latchward.JudgedPath(canonical, "/api")
		switch {
		case len(taken) == 0 && (a.status == 400 && err != nil || a.status == 404 && !under || a.status == 403):
		case a.status != 200 || len(taken) != 1 || err != nil || !under || !patterns.Match("GET", judged):
			t.Fatalf("seed %d: %q: %d, judged path %q, the upstream saw %+v", seed, target, a.status, judged, taken)
		default:
			forwarded++
			got, gotQuery, _ := strings.Cut(taken[0].target, "?")
			if got != "/v1"+judged || gotQuery != query {
				t.Fatalf("seed %d: %q is judged as %q and forwarded as %q", seed, target, judged, taken[0].target)
			}
			checkReaders(t, patterns, judged)
		}
	}
	if forwarded < 20 {
		t.Errorf("only %d spellings were forwarded", forwarded)
	}
}

// spelling returns a path spelled by someone who wants it to be read in two ways.
func spelling(random *rand.Rand) string {
	parts := []string{
		"products", "reports", "admin", "1", "2", "", ".", "..", "%2e", "%2e%2e", "%2E.", "..;", ";x=1", "%2f", "%5c", "\\",
		"%00", "%31", "%70roducts", "re%70orts", "%252e", "a%20b", "\xc3\xa9", "%c3%a9", "%c0%ae", "?x=1", "%3fx", "#", "~", "%7E",
		"a@b", "%40", "%2a", "*", "%25", "%", "...", "%0a", "a+b", "(1)",
	}
	var b strings.Builder
	b.WriteString([]string{"/products/", "/reports/", "/"}[random.IntN(3)])
	for range random.IntN(4) {
		b.WriteString(parts[random.IntN(len(parts))])
		b.WriteString([]string{"", "", "/", "//", "\\"}[min(random.IntN(12), 4)*(random.IntN(2))])
	}
	return b.String()
}

// checkReaders resolves a forwarded path as different servers do, and checks that what they serve is what was allowed.
func checkReaders(t *testing.T, patterns latchward.Patterns, judged string) {
	t.Helper()
	decoded, err := url.PathUnescape(judged)
	if err != nil {
		t.Fatalf("%q was forwarded: %v", judged, err)
	}
	withoutParameters, _, _ := strings.Cut(decoded, ";")
	twice, err := url.PathUnescape(decoded)
	if err != nil {
		twice = decoded
	}
	readings := map[string]string{
		"decoded and cleaned":            path.Clean(decoded),
		"backslashes as slashes":         path.Clean(strings.ReplaceAll(decoded, `\`, "/")),
		"without parameters":             path.Clean(withoutParameters),
		"decoded twice":                  path.Clean(twice),
		"cut at NUL":                     path.Clean(strings.SplitN(decoded, "\x00", 2)[0]),
		"net/url, as a reference":        path.Clean((&url.URL{Path: "/x"}).ResolveReference(mustParse(t, judged)).Path),
		"WHATWG: %2e in segments as dot": path.Clean(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(judged)),
	}
	for reader, resolved := range readings {
		if strings.HasSuffix(judged, "/") && resolved != "/" {
			resolved += "/"
		}
		if !patterns.Match("GET", resolved) {
			t.Errorf("%q was allowed, but is %q when %s", judged, resolved, reader)
		}
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// bar 26: methods are judged as they are sent; nobody answers OPTIONS * but the gateway
func TestMethods(t *testing.T) {
	w := start(t, nil)
	get := w.issue(latchward.NewToken{AllowedEndpoints: []string{"GET /products"}})
	tests := []struct {
		method, target string
		want           int
	}{
		{"GET", "/api/products", 200}, {"HEAD", "/api/products", 200}, {"POST", "/api/products", 403},
		{"DELETE", "/api/products", 403}, {"OPTIONS", "/api/products", 403},
		{"get", "/api/products", 400}, {"GeT", "/api/products", 400}, {"FOO", "/api/products", 400},
		{"PRI", "*", 400}, {"OPTIONS", "*", 400}, {"M-SEARCH", "/api/products", 400},
		{strings.Repeat("G", 10<<10), "/api/products", 400},
		{"TRACE", "/api/products", 405}, {"CONNECT", "/api/products", 405}, {"CONNECT", "internal:443", 405},
	}
	for _, test := range tests {
		a := w.only(w.requestAs(get, test.method, test.target))
		if a.status != test.want {
			t.Errorf("%.20s %s: %d, want %d", test.method, test.target, a.status, test.want)
		}
		if allow := a.header.Get("Allow"); (a.status == 405) != (allow == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") {
			t.Errorf("%.20s: Allow %q", test.method, allow)
		}
		taken := w.upstream.take()
		if test.want != 200 && len(taken) != 0 || test.want == 200 && (len(taken) != 1 || taken[0].method != test.method) {
			t.Errorf("%.20s %s: the upstream saw %+v", test.method, test.target, taken)
		}
	}
}

// bar 29: one authority
func TestAuthorities(t *testing.T) {
	w := start(t, nil)
	const lines = " HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n"
	tests := []struct {
		raw  string
		host string // that the upstream is told; "" = refused
	}{
		{"GET /api/a" + lines + "Host: public\r\n\r\n", "public"},
		{"GET http://internal/api/a" + lines + "Host: public\r\n\r\n", "internal"}, // RFC 9112 §3.2.2
		{"GET /api/a" + lines + "Host: public\r\nHost: internal\r\n\r\n", ""},
		{"GET /api/a" + lines + "Host: public\r\nHost: public\r\n\r\n", ""},
		{"GET /api/a" + lines + "\r\n", ""},
		{"GET /api/a" + lines + "Host: a b\r\n\r\n", ""},
		{"GET http://internal@public/api/a" + lines + "Host: public\r\n\r\n", ""},
	}
	for _, test := range tests {
		a := w.only(strings.Replace(test.raw, "TOKEN", w.token, 1))
		if test.host == "" {
			if n := len(w.upstream.take()); a.status != 400 || n != 0 {
				t.Errorf("%q: %d, the upstream saw %d", test.raw, a.status, n)
			}
			continue
		}
		got := w.upstream.one(t)
		if got.host != w.upstream.address || got.header.Get("X-Forwarded-Host") != test.host || got.target != "/v1/a" {
			t.Errorf("%q: host %q, X-Forwarded-Host %q", test.raw, got.host, got.header.Get("X-Forwarded-Host"))
		}
	}
}

// Upstreams are chosen by the longest prefix of the judged path that ends where a segment ends.
func TestRouting(t *testing.T) {
	names := []string{"all", "products", "reviews"}
	w := start(t, nil, func(o *gateway.Options) {
		u := o.Upstreams[0].URL
		o.Upstreams = []gateway.Upstream{
			{Prefix: "/products", URL: u.JoinPath(names[1])},
			{Prefix: "/", URL: u.JoinPath(names[0])},
			{Prefix: "/products/reviews/", URL: u.JoinPath(names[2])},
		}
	})
	tests := map[string]string{
		"/api": "all", "/api/stores": "all", "/api/productsx": "all", "/api/products": "products",
		"/api/products/": "products", "/api/products/1": "products", "/api/%70roducts/1": "products",
		"/api/products/reviews": "reviews", "/api/products/reviews/1": "reviews", "/api/products/reviewsx": "products",
	}
	for target, name := range tests {
		w.only(w.request("GET", target))
		judged := strings.Replace(strings.TrimPrefix(target, "/api"), "%70", "p", 1)
		if judged == "" {
			judged = "/"
		}
		if got := w.upstream.one(t).target; got != "/v1/"+name+judged {
			t.Errorf("%s went to %s, want %s", target, got, name)
		}
	}
	only := start(t, nil, func(o *gateway.Options) { o.Upstreams[0].Prefix = "/products" })
	if a := only.only(only.request("GET", "/api/stores")); a.status != http.StatusNotFound || len(only.upstream.take()) != 0 {
		t.Errorf("a path without an upstream: %d", a.status)
	}
}
