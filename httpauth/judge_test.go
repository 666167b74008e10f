package httpauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// verifier is a Verifier that answers the same to everything and remembers what it was asked.
type verifier struct {
	verdict latchward.Verdict
	err     error
	asked   []latchward.VerifyRequest
}

func (v *verifier) Verify(_ context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	v.asked = append(v.asked, r)
	return v.verdict, v.err
}

// persons knows one JWT.
type persons struct {
	jwt       string
	principal latchward.Principal
	err       error
}

func (p *persons) Authenticate(_ context.Context, jwt latchward.Secret) (latchward.Principal, error) {
	if p.err != nil {
		return latchward.Principal{}, p.err
	}
	if jwt.Expose() != p.jwt {
		return latchward.Principal{}, latchward.Errorf(latchward.CodeUnauthenticated, "Invalid token")
	}
	return p.principal, nil
}

// wire returns a request as a server has it that read the given target.
func wire(method, target string) *http.Request {
	r := &http.Request{
		Method: method, RequestURI: target, Host: "api.example.com", URL: &url.URL{}, Header: http.Header{},
		RemoteAddr: "203.0.113.5:4711",
	}
	if parsed, err := url.ParseRequestURI(target); err == nil {
		r.URL = parsed
	}
	r.Header.Set("Authorization", "Bearer abc")
	return r
}

// S2-16, bar 23..26, 29: what is judged is the canonical form of what was on the wire, without the base
func TestJudgePath(t *testing.T) {
	const refused, outside = "refused", "outside"
	tests := []struct{ base, target, want string }{
		{"", "/products/1", "/products/1"},
		{"", "/", "/"},
		{"/api", "/api/products?x=1", "/products"},
		{"/api", "/api", "/"},
		{"/api", "/api/", "/"},
		{"/api", "/%61pi/products", "/products"},
		{"/api", "/api/products/%31", "/products/1"},
		{"/api", "/api/products/a%3fb", "/products/a%3Fb"},
		{"/api", "/api/products?a=/b/../c", "/products"},
		{"/api", "/api/products?", "/products"},
		{"/api", "http://api.example.com/api/products?x", "/products"},
		{"/api", "HTTPS://API.example.com/api", "/"},
		{"", "http://api.example.com", "/"},
		{"", "http://api.example.com?x", "/"},
		{"", `/a"b`, "/a%22b"},

		{"/api", "/products", outside},
		{"/api", "/apix/products", outside},
		{"/api", "/", outside},
		{"/api", "/API/products", outside},

		{"/api", "/api/../admin", refused},
		{"/api", "/api/%2e%2e/admin", refused},
		{"/api", "/api//products", refused},
		{"/api", "/api/products%2F1", refused},
		{"/api", `/api/products%2F1"`, refused}, // url.URL.EscapedPath makes /api/products/1%22 of it
		{"/api", "/api/products;v=2", refused},
		{"/api", "/api/%252e", refused},
		{"/api", "//api/products", refused},
		{"/api", "/api/pro%00ducts", refused},
		{"/api", "/api/products#f", refused},
		{"/api", "/api/pro ducts", refused},
		{"/api", "/api/%zz", refused},
		{"/api", "*", refused},
		{"/api", "api/products", refused},
		{"/api", "api.example.com:443", refused},
		{"/api", "http://internal/api/products", refused},
		{"/api", "http://user@api.example.com/api/products", refused},
		{"/api", "ftp://api.example.com/api/products", refused},
		{"/api", "http:/api/products", refused},
		{"/api", "http://api.example.com#/api", refused},
	}
	for _, test := range tests {
		asked := &verifier{verdict: *allowed()}
		judge := httpauth.Judge{Verifier: asked, Base: test.base}
		v, path, err := judge.Judge(wire(http.MethodGet, test.target))
		got := path
		switch {
		case latchward.ErrorCode(err) == latchward.CodeNotFound && v.Reason == "":
			got = outside
		case err != nil:
			t.Errorf("%s: %v", test.target, err)
		case v.Reason == badRequest:
			got = refused
		case len(asked.asked) != 1 || asked.asked[0].Path != path:
			t.Errorf("%s: path %q, but asked %v", test.target, path, asked.asked)
		}
		if got != test.want {
			t.Errorf("%s under %q: %s, want %s", test.target, test.base, got, test.want)
		}
		codes := map[string]latchward.Code{refused: latchward.CodeInvalid, outside: latchward.CodeNotFound}
		again, err := judge.Path(wire(http.MethodGet, test.target))
		if again != path || latchward.ErrorCode(err) != codes[test.want] {
			t.Errorf("Path of %s under %q: %q, %v", test.target, test.base, again, err)
		}
	}
}

// A request that was never on a wire has its path in its URL.
func TestJudgePathWithoutWire(t *testing.T) {
	for target, want := range map[string]string{
		"http://api.example.com/api/products/a%20b": "/products/a%20b", "http://api.example.com/api": "/",
	} {
		r, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer abc")
		judge := httpauth.Judge{Verifier: &verifier{verdict: *allowed()}, Base: "/api"}
		if v, path, err := judge.Judge(r); err != nil || !v.Allowed() || path != want {
			t.Errorf("%s: %q, %v, %v", target, path, v.Reason, err)
		}
	}
}

// The Verifier is asked exactly what the request says.
func TestJudgeAsks(t *testing.T) {
	asked := &verifier{verdict: *allowed()}
	judge := httpauth.Judge{
		Verifier: asked, Base: "/api", Proxies: proxies(t, "", "203.0.113.0/24"), Permissions: []string{"orders.read"},
		Cost: func(r *http.Request) int64 { return r.ContentLength },
	}
	r := wire(http.MethodPost, "/api/orders?x=1")
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	r.ContentLength = 12
	v, path, err := judge.Judge(r)
	answered := asked.verdict
	answered.Path = path
	if err != nil || path != "/orders" || !reflect.DeepEqual(v, answered) {
		t.Fatalf("%v, %q, %v", v, path, err)
	}
	got := asked.asked[0]
	if !got.Secret.Equal(latchward.SecretFromText("abc")) {
		t.Error("asked about another secret")
	}
	want := latchward.VerifyRequest{
		Method: "POST", Path: "/orders", Address: netip.MustParseAddr("198.51.100.7"),
		Permissions: []string{"orders.read"}, Cost: 12,
	}
	if got.Method != want.Method || got.Path != want.Path || got.Address != want.Address ||
		!slices.Equal(got.Permissions, want.Permissions) || got.Cost != want.Cost {
		t.Errorf("asked %+v, want %+v", got, want)
	}
	judge.Cost = nil
	if _, _, err := judge.Judge(r); err != nil || asked.asked[1].Cost != 1 {
		t.Errorf("cost is %d by default", asked.asked[1].Cost)
	}
}

// bar 53: asking again about a request that is being served costs nothing, and a used-up limit does not end it
func TestJudgeAgain(t *testing.T) {
	for _, reason := range latchward.Reasons() {
		asked := &verifier{verdict: latchward.Verdict{Reason: reason, At: epoch}}
		judge := httpauth.Judge{Verifier: asked}
		want := reason
		if httpauth.StatusOf(reason) == http.StatusTooManyRequests {
			want = latchward.ReasonAllowed
		}
		v, err := judge.JudgeAgain(wire(http.MethodGet, "/orders"))
		if err != nil || v.Reason != want || !asked.asked[0].DryRun {
			t.Errorf("%s: %v, %v, dry run %v", reason, v.Reason, err, asked.asked[0].DryRun)
		}
		if _, _, err := judge.Judge(wire(http.MethodGet, "/orders")); err != nil || asked.asked[1].DryRun {
			t.Errorf("%s: judged for the first time: %v, dry run %v", reason, err, asked.asked[1].DryRun)
		}
	}
}

// bar 26: methods without an agreed meaning are refused before anybody is asked
func TestJudgeMethod(t *testing.T) {
	for _, method := range []string{"get", "GeT", "FOO", "", "PROPFIND", "GET "} {
		asked := &verifier{verdict: *allowed()}
		judge := httpauth.Judge{Verifier: asked, Persons: &persons{jwt: "a.b.c"}}
		for _, bearer := range []string{"Bearer abc", "Bearer a.b.c"} {
			r := wire(method, "/products")
			r.Header.Set("Authorization", bearer)
			if v, _, err := judge.Judge(r); v.Reason != badRequest || err != nil || len(asked.asked) != 0 {
				t.Errorf("%q, %s: %v, %v", method, bearer, v.Reason, err)
			}
		}
	}
}

// bar 13: a token of ours anywhere in a query is refused, whatever the parameter is called; other values are not
func TestJudgeFindsSecretsInQueries(t *testing.T) {
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), epoch)
	if err != nil {
		t.Fatal(err)
	}
	ours, _, err := latchward.NewSecret(latchtest.Seeded(2), latchward.DefaultPrefix, ring)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := latchward.NewSecret(latchtest.Seeded(3), "shop_", ring)
	if err != nil {
		t.Fatal(err)
	}
	text := ours.Expose()
	mistyped := text[:20] + "0" + text[21:]
	if mistyped == text {
		mistyped = text[:20] + "1" + text[21:]
	}
	tests := []struct {
		prefix, query string
		refused       bool
	}{
		{"", "token=" + text, true},
		{"", "api_key=" + text, true},
		{"", "key=" + text, true},
		{"", "a=b&c=d&e=" + text + "&f=g", true},
		{"", "a=b;e=" + text, true},
		{"", "x=%6cw_" + text[3:], true},
		{"", "token=" + text[:len(text)-1], false},
		{"", "token=" + mistyped, false},
		{"", "token=abc&api_key=lw_&key=lw_abc", false},
		{"", "token=" + other.Expose(), false},
		{"shop_", "token=" + other.Expose(), true},
		{"shop_", "token=" + text, false},
		{"", "access_token=" + other.Expose(), true},
	}
	for _, test := range tests {
		asked := &verifier{verdict: *allowed()}
		judge := httpauth.Judge{Verifier: asked, Prefix: test.prefix}
		for _, header := range [][]string{{"Bearer abc"}, nil} {
			r := wire(http.MethodGet, "/products")
			r.URL.RawQuery = test.query
			r.Header["Authorization"] = header
			v, _, err := judge.Judge(r)
			if err != nil || (v.Reason == badRequest) != test.refused {
				t.Errorf("?%.12s… under %q: %v, %v", test.query, test.prefix, v.Reason, err)
			}
		}
	}
}

// S2-10, S2-41
func TestJudgePerson(t *testing.T) {
	ada := latchward.Principal{Type: latchward.PrincipalUser, ID: 3, Name: "Ada"}
	root := latchward.Principal{Type: latchward.PrincipalUser, ID: 1, Name: "Root", Administrator: true}
	unavailable := latchward.Errorf(latchward.CodeUnavailable, "no keys")
	tests := []struct {
		name        string
		persons     httpauth.PersonAuthenticator
		permissions []string
		reason      latchward.Reason
		subject     int64
		code        latchward.Code
	}{
		{"nobody is asked", nil, nil, malformed, 0, ""},
		{"known", &persons{jwt: "a.b.c", principal: ada}, nil, latchward.ReasonAllowed, 3, ""},
		{"unknown", &persons{jwt: "x.y.z"}, nil, malformed, 0, ""},
		{"rights", &persons{jwt: "a.b.c", principal: ada}, []string{"orders.read"},
			latchward.ReasonInsufficientPermissions, 3, ""},
		{"rights of an administrator", &persons{jwt: "a.b.c", principal: root}, []string{"orders.read"},
			latchward.ReasonAllowed, 1, ""},
		{"unavailable", &persons{err: unavailable}, nil, "", 0, latchward.CodeUnavailable},
		{"broken", &persons{err: errors.New("broken")}, nil, "", 0, latchward.CodeUnavailable},
	}
	for _, test := range tests {
		asked := &verifier{verdict: *allowed()}
		judge := httpauth.Judge{
			Verifier: asked, Persons: test.persons, Permissions: test.permissions, Now: func() time.Time { return epoch },
		}
		r := wire(http.MethodGet, "/products")
		r.Header.Set("Authorization", "Bearer a.b.c")
		v, path, err := judge.Judge(r)
		if v.Reason != test.reason || latchward.ErrorCode(err) != test.code || v.Subject.ID != test.subject ||
			path != "/products" {
			t.Errorf("%s: %v of %v at %q, %v", test.name, v.Reason, v.Subject, path, err)
		}
		if v.Token.ID != 0 || len(asked.asked) != 0 || err == nil && !v.At.Equal(epoch) {
			t.Errorf("%s: token %v at %v, asked %d times", test.name, v.Token, v.At, len(asked.asked))
		}
	}
}

// What a remote Verifier has against us is not about the client.
func TestJudgeErrors(t *testing.T) {
	for _, code := range latchward.Codes() {
		want := latchward.CodeUnavailable
		if code == latchward.CodeInvalid {
			want = code
		}
		cause := latchward.Errorf(code, "from the other side")
		judge := httpauth.Judge{Verifier: &verifier{err: cause}}
		v, _, err := judge.Judge(wire(http.MethodGet, "/products"))
		if latchward.ErrorCode(err) != want || !errors.Is(err, cause) || v.Reason != "" {
			t.Errorf("%s: %v, %v", code, v.Reason, err)
		}
	}
	judge := httpauth.Judge{Verifier: &verifier{err: errors.New("broken")}}
	if _, _, err := judge.Judge(wire(http.MethodGet, "/products")); latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("an unknown error is %v", err)
	}
}

// Middleware gives the verdicts that the service does: S2-11 and the rest of the table.
func TestVerdictTable(t *testing.T) {
	newStore := func(*testing.T) latchward.Store { return memory.New() }
	latchtest.RunVerifyTable(t, "../testdata/verify", newStore,
		func(t *testing.T, s *latchward.Service, now func() time.Time) latchtest.Surface {
			return latchtest.Surface{Public: true, Verify: func(ctx context.Context, r latchward.VerifyRequest) (
				latchward.Reason, int64, error,
			) {
				return ask(ctx, t, s, r, now)
			}}
		})
}

// ask sends r as an HTTP request through Require.
func ask(ctx context.Context, t *testing.T, s *latchward.Service, r latchward.VerifyRequest, now func() time.Time) (
	latchward.Reason, int64, error,
) {
	if r.Method == "" || r.Path == "" { // HTTP always tells both
		v, err := s.Verify(ctx, r)
		return v.Reason, -1, err
	}
	request := wire(r.Method, r.Path).WithContext(ctx)
	request.RemoteAddr = netip.AddrPortFrom(r.Address, 4711).String()
	request.Header.Del("Authorization")
	if !r.Secret.IsZero() {
		request.Header.Set("Authorization", "Bearer "+r.Secret.Expose())
	}
	protect := httpauth.Require(s, httpauth.Options{
		Permissions: r.Permissions, Query: r.Query, Licenses: r.Licenses,
		Cost: func(*http.Request) int64 { return max(1, r.Cost) }, Now: now,
	})
	served := false
	w := httptest.NewRecorder()
	protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })).ServeHTTP(w, request)
	return reasonOf(t, w, served), remainingOf(w), nil
}

func reasonOf(t *testing.T, w *httptest.ResponseRecorder, served bool) latchward.Reason {
	if (w.Code == http.StatusOK) != served {
		t.Fatalf("status %d, served %v", w.Code, served)
	}
	if served {
		return latchward.ReasonAllowed
	}
	p := decode(t, w)
	if p.Code == "invalid_token" {
		return latchward.ReasonMalformed
	}
	return latchward.Reason(p.Code)
}
