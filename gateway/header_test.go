package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
	"github.com/latchward/latchward/httpauth"
)

// ordinary are headers of a client that reach the upstream as they are.
var ordinary = []string{
	"Accept: text/html", "Accept-Encoding: gzip", "Accept-Language: en", "Content-Type: text/plain", "Cookie: a=b; c=d",
	"If-None-Match: \"x\"", "Idempotency-Key: 1", "Origin: https://a.example", "Range: bytes=0-1", "User-Agent: test",
	"X-Request-Id: 7", "X-Custom_Header: a", "Traceparent: 00-1-2-03", "X-Latch: a", "X-Forward: a", "Method: DELETE",
	"X-Original: a", "Proxy-Version: 1",
}

func TestOrdinaryHeaders(t *testing.T) {
	w := start(t, nil)
	w.only(w.request("POST", "/api/a", append([]string{"Content-Length: 2"}, ordinary...)...) + "hi")
	got := w.upstream.one(t)
	for _, line := range ordinary {
		name, value, _ := strings.Cut(line, ": ")
		if values := got.header[http.CanonicalHeaderKey(name)]; len(values) != 1 || values[0] != value {
			t.Errorf("%s arrives as %q", line, values)
		}
	}
	if got.body != "hi" || got.header.Get("Content-Length") != "2" {
		t.Errorf("body %q of length %s", got.body, got.header.Get("Content-Length"))
	}
}

// What a client does not say is not made up, and of the codings it takes only trailers are passed on.
func TestAbsentHeaders(t *testing.T) {
	w := start(t, nil)
	for sent, want := range map[string]string{"X: y": "", "TE: trailers": "trailers", "TE: gzip, Trailers;q=1, trailers": "trailers", "TE: gzip": ""} {
		for _, method := range []string{"GET", "POST"} {
			w.only(w.request(method, "/api/a", sent, "Content-Length: 0"))
			h := w.upstream.one(t).header
			if h["User-Agent"] != nil || h["Accept-Encoding"] != nil || h.Get("Te") != want {
				t.Errorf("%s %s: the upstream gets %v", method, sent, h)
			}
		}
	}
	w.only(w.request("GET", "/api/a", "Upgrade: websocket")) // without Connection: Upgrade
	if h := w.upstream.one(t).header; h["Upgrade"] != nil || h["Connection"] != nil {
		t.Errorf("an upgrade that is not asked for arrives: %v", h)
	}
}

// bar 94: the credential stays here, unless it is to be passed; no query, cookie or alias changes that
func TestCredential(t *testing.T) {
	headers := []string{"X-API-Key: k", "X_Api_Key: k", "x.api.key: k", "Proxy-Authorization: Basic eDp5"}
	w := start(t, nil)
	if a := w.only(w.request("GET", "/api/a", headers...)); a.status != 200 {
		t.Fatal(a.status)
	}
	wire := w.upstream.bytes()
	for _, secret := range []string{w.token, "Authorization", "Api-Key", "Api_Key", "api.key", "eDp5"} {
		if strings.Contains(strings.ToLower(wire), strings.ToLower(secret)) {
			t.Errorf("the upstream gets %q in %q", secret, wire)
		}
	}
	w = start(t, nil, func(o *gateway.Options) { o.PassCredential = true })
	w.only(w.request("GET", "/api/a", headers[0]))
	got := w.upstream.one(t).header
	if got.Get("Authorization") != "Bearer "+w.token || got.Get("X-API-Key") != "k" {
		t.Errorf("with PassCredential the upstream gets %v", got)
	}
}

// bar 13: secrets in queries are refused, and go nowhere
func TestCredentialInQuery(t *testing.T) {
	w := start(t, nil)
	for _, query := range []string{"access_token=" + w.token, "access_token=x", "key=" + w.token, "a=b;k=" + w.token, "%61ccess_token=x"} {
		if a := w.only(w.request("GET", "/api/a?"+query)); a.status != 400 || len(w.upstream.take()) != 0 {
			t.Errorf("%s: %d", query, a.status)
		}
	}
	for _, query := range []string{"key=abc", "api_key=k&token=t", "q=lw_short"} {
		if a := w.only(w.request("GET", "/api/a?"+query)); a.status != 200 || w.upstream.one(t).target != "/v1/a?"+query {
			t.Errorf("%s: %d", query, a.status)
		}
	}
}

// bar 94: our cookies stay here, the others arrive as they are
func TestCookies(t *testing.T) {
	tests := []struct {
		sent []string
		want string
	}{
		{[]string{"a=b"}, "a=b"},
		{[]string{"a=b;c=d;  e=f"}, "a=b;c=d;  e=f"},
		{[]string{"__Host-latchward=s"}, ""},
		{[]string{"latchward_local=s"}, ""},
		{[]string{"a=b; __Host-latchward=s; c=d"}, "a=b; c=d"},
		{[]string{"__Host-latchward_portal=s;a=\"b\""}, "a=\"b\""},
		{[]string{"a=latchward; latchward_local=s"}, "a=latchward"},
		{[]string{"a=b", "__Host-latchward=s"}, "a=b"},
		{[]string{" __Host-latchward = s", "c=d; a"}, "c=d; a"},
		{[]string{"my_latchward=s; __Host-other=t"}, "my_latchward=s; __Host-other=t"},
	}
	w := start(t, nil)
	for _, test := range tests {
		var lines []string
		for _, cookie := range test.sent {
			lines = append(lines, "Cookie: "+cookie)
		}
		w.only(w.request("GET", "/api/a", lines...))
		if got := strings.Join(w.upstream.one(t).header["Cookie"], "|"); got != test.want {
			t.Errorf("%q arrives as %q, want %q", test.sent, got, test.want)
		}
	}
}

// forgeable are headers that a client must not be able to send, in one spelling.
var forgeable = []string{
	httpauth.HeaderTokenID, httpauth.HeaderSubject, httpauth.HeaderOwner, httpauth.HeaderPermissions,
	httpauth.HeaderAssertion, "X-Latchward-Anything",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-User", "X-Forwarded-Client-Cert",
	"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL", "X-Envoy-Original-Path", "X-Envoy-Internal",
	"X-Replaced-Path", "X-Script-Name", "X-Accel-Redirect", "X-Waws-Unencoded-Url",
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
	"X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "Client-IP",
	"X-API-Key", "Forwarded", "Proxy",
}

const forged = "forged-7e1f"

// bar 27, 28, 90: no spelling of a header that is ours, or that makes a request another one, reaches the upstream
func TestForgedHeaders(t *testing.T) {
	w := start(t, nil)
	const seed = 90
	random := rand.New(rand.NewPCG(seed, seed))
	spellings := 0
	for _, name := range forgeable {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), respelled(random, name),
			respelled(random, name), respelled(random, name)} {
			spellings++
			a := w.only(w.request("GET", "/api/a", spelled+": "+forged, "X-Kept: yes"))
			wire := w.upstream.bytes()
			got := w.upstream.one(t)
			if a.status != 200 || strings.Contains(wire, forged) || got.header.Get("X-Kept") != "yes" {
				t.Errorf("seed %d: %s: %d, the upstream gets %q", seed, spelled, a.status, wire)
			}
		}
	}
	if spellings < 200 {
		t.Errorf("only %d spellings", spellings)
	}
	all := w.request("GET", "/api/a", slices.Concat(lines(forgeable), lines([]string{"x_latchward_subject", "X.Latchward.Owner"}))...)
	w.only(all)
	got := w.upstream.one(t).header
	for name := range got {
		if httpauth.Managed(name) && !slices.Contains([]string{"X-Latchward-Token-Id", "X-Latchward-Subject", "X-Latchward-Owner"}, name) {
			t.Errorf("the upstream gets %s: %s", name, got[name])
		}
	}
	if got.Get("X-Latchward-Token-Id") == forged || got.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("the upstream gets %v", got)
	}
}

func lines(names []string) (lines []string) {
	for _, name := range names {
		lines = append(lines, name+": "+forged)
	}
	return lines
}

// respelled returns a name that only a careless server takes for the given one.
func respelled(random *rand.Rand, name string) string {
	const separators = "-_.~!#$%&'*+^`|"
	spelled := []byte(name)
	for i, c := range spelled {
		switch {
		case c == '-':
			spelled[i] = separators[random.IntN(len(separators))]
		case random.IntN(2) == 0:
			spelled[i] = strings.ToUpper(string(c))[0]
		default:
			spelled[i] = strings.ToLower(string(c))[0]
		}
	}
	return string(spelled)
}

// bar 90: what passes for a length or a coding in another spelling is not sent on
func TestForgedFraming(t *testing.T) {
	w := start(t, nil)
	for _, line := range []string{"Content_Length: 5", "content.length: 5", "Transfer_Encoding: chunked", "TRANSFER~ENCODING: chunked"} {
		if a := w.only(w.request("GET", "/api/a", line)); a.status != 200 {
			t.Errorf("%s: %d", line, a.status)
		}
		name, _, _ := strings.Cut(line, ":")
		if wire := w.upstream.bytes(); strings.Contains(strings.ToLower(wire), strings.ToLower(name)) {
			t.Errorf("%s arrives: %q", line, wire)
		}
		w.upstream.take()
	}
}

// Identity: who is asking, in headers that nobody else can set.
func TestIdentity(t *testing.T) {
	w := start(t, nil, func(o *gateway.Options) { o.Persons = onePerson{} })
	personal, secret := w.create(latchward.NewToken{Permissions: []string{"orders.read", "orders.write"}})
	service, serviceSecret := w.create(latchward.NewToken{Kind: latchward.KindService, Permissions: []string{}})
	tests := []struct {
		secret string
		want   map[string]string
	}{
		{secret, map[string]string{
			"X-Latchward-Token-Id": strconv.FormatInt(int64(personal), 10), "X-Latchward-Subject": "user:1",
			"X-Latchward-Owner": "user:1", "X-Latchward-Permissions": "orders.read orders.write",
		}},
		{serviceSecret, map[string]string{
			"X-Latchward-Token-Id": strconv.FormatInt(int64(service), 10), "X-Latchward-Permissions": "",
			"X-Latchward-Subject": fmt.Sprintf("token:%d", service), "X-Latchward-Owner": "user:1",
		}},
		{personJWT, map[string]string{"X-Latchward-Subject": "user:9"}},
	}
	for _, test := range tests {
		w.only(w.requestAs(test.secret, "GET", "/api/a", "X-Latchward-Token-Id: 1", "X-Latchward-Permissions: tokens.manage",
			"Connection: X-Latchward-Subject, X-Latchward-Token-Id, X-Latchward-Owner, X-Latchward-Permissions, X-Forwarded-For"))
		got := w.upstream.one(t).header // bar 89: the Connection header took none of ours away
		for _, name := range []string{"Token-Id", "Subject", "Owner", "Permissions"} {
			name = "X-Latchward-" + name
			want, set := test.want[name]
			if values := got[name]; set && !slices.Equal(values, []string{want}) || !set && values != nil {
				t.Errorf("%.10s…: %s: %q, want %q", test.secret, name, values, want)
			}
		}
		if got.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("X-Forwarded-For %q", got["X-Forwarded-For"])
		}
	}
}

const personJWT = "e30.e30.c2ln"

// onePerson authenticates personJWT.
type onePerson struct{}

func (onePerson) Authenticate(_ context.Context, jwt latchward.Secret) (latchward.Principal, error) {
	if jwt.Expose() != personJWT {
		return latchward.Principal{}, latchward.Errorf(latchward.CodeUnauthenticated, "Invalid token")
	}
	return latchward.Principal{Type: latchward.PrincipalUser, ID: 9, Name: "nina"}, nil
}

// S2-10, S2-41: tokens and JWTs of people on one endpoint, told apart in usage
func TestPersons(t *testing.T) {
	w := start(t, nil, func(o *gateway.Options) { o.Persons = onePerson{} })
	if a := w.only(w.requestAs(personJWT, "GET", "/api/a")); a.status != 200 {
		t.Fatalf("a person gets %d", a.status)
	}
	if e := w.event(); e.Credential != latchward.CredentialJWT || e.UserID != 9 || e.TokenID != 0 {
		t.Errorf("a person's request is recorded as %+v", e)
	}
	if wire := w.upstream.bytes(); strings.Contains(wire, personJWT) {
		t.Errorf("the upstream gets the JWT: %q", wire)
	}
	w.upstream.take()
	checkProblem(t, "another JWT", w.only(w.requestAs("e30.e30.eA", "GET", "/api/a")), 401)
	w.only(w.request("GET", "/api/a"))
	if e := w.event(); e.Credential != latchward.CredentialToken || e.TokenID == 0 {
		t.Errorf("a token's request is recorded as %+v", e)
	}
	if n := len(w.upstream.take()); n != 1 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// bar 89: a Connection list takes away what the client sent, as HTTP has it, and nothing that we set
func TestConnectionList(t *testing.T) {
	w := start(t, nil)
	w.only(w.request("GET", "/api/a", "X-Hop: a", "X-End: b", "Connection: X-Hop, keep-alive, Host, X-Forwarded-Proto", "Keep-Alive: 5"))
	got := w.upstream.one(t)
	if got.header["X-Hop"] != nil || got.header["Keep-Alive"] != nil || got.header["Connection"] != nil {
		t.Errorf("hop-by-hop headers arrive: %v", got.header)
	}
	if got.header.Get("X-End") != "b" || got.header.Get("X-Forwarded-Proto") != "http" || got.host != w.upstream.address {
		t.Errorf("end-to-end headers do not arrive: %v, host %s", got.header, got.host)
	}
}

// bar 91: trailers do not arrive, announced or not
func TestTrailers(t *testing.T) {
	w := start(t, nil)
	chunked := "5\r\nhello\r\n0\r\nX-Latchward-Subject: " + forged + "\r\nAuthorization: " + forged + "\r\nX-Mine: " + forged + "\r\n\r\n"
	for _, announced := range [][]string{
		{"Trailer: X-Latchward-Subject, Authorization, X-Mine"}, {"Trailer: X-Mine", "TE: trailers"}, {"X-None: a"},
	} {
		a := w.only(w.request("POST", "/api/a", append(announced, "Transfer-Encoding: chunked")...) + chunked)
		wire := w.upstream.bytes()
		got := w.upstream.one(t)
		if a.status != 200 || got.body != "hello" || len(got.trailer) != 0 || strings.Contains(wire, forged) || strings.Contains(wire, "Trailer") {
			t.Errorf("%q: %d, the upstream gets %q", announced, a.status, wire)
		}
	}
}

// S2-32, bar 21: the client's address is the peer's, unless a trusted proxy says otherwise
func TestForwardedFor(t *testing.T) {
	trusting := func(header string) func(*gateway.Options) {
		return func(o *gateway.Options) {
			proxies, err := httpauth.NewProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, header)
			if err != nil {
				t.Fatal(err)
			}
			o.Proxies = proxies
		}
	}
	untrusting := func(*gateway.Options) {}
	told := []string{"X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example"}
	tests := []struct {
		name        string
		edit        func(*gateway.Options)
		lines       []string
		chain       string
		proto, host string
		recorded    string
	}{
		{name: "nobody is trusted", edit: untrusting, lines: told, chain: "127.0.0.1", proto: "http", host: "api.example.com", recorded: "127.0.0.1"},
		{name: "a trusted proxy", edit: trusting(""), lines: told, chain: "203.0.113.5, 127.0.0.1", proto: "https", host: "shop.example", recorded: "203.0.113.5"},
		{name: "behind it a liar", edit: trusting(""), lines: []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.5"}, chain: "203.0.113.5, 127.0.0.1", proto: "http", host: "api.example.com", recorded: "203.0.113.5"},
		{name: "another header", edit: trusting("X-Real-IP"), lines: []string{"X-Real-IP: 203.0.113.6", "X-Forwarded-For: 1.1.1.1"}, chain: "203.0.113.6, 127.0.0.1", proto: "http", host: "api.example.com", recorded: "203.0.113.6"},
		{name: "nothing said", edit: trusting(""), chain: "127.0.0.1", proto: "http", host: "api.example.com", recorded: "127.0.0.1"},
		{name: "no address", edit: trusting(""), lines: []string{"X-Forwarded-For: garbage"}, chain: "127.0.0.1", proto: "http", host: "api.example.com", recorded: "invalid IP"},
		{name: "nonsense", edit: trusting(""), lines: []string{"X-Forwarded-Proto: gopher", "X-Forwarded-Host: a, b"}, chain: "127.0.0.1", proto: "http", host: "api.example.com", recorded: "127.0.0.1"},
		{name: "said twice", edit: trusting(""), lines: []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http", "X-Forwarded-Host: a", "X-Forwarded-Host: b"}, chain: "127.0.0.1", proto: "http", host: "api.example.com", recorded: "127.0.0.1"},
	}
	for _, test := range tests {
		w := start(t, nil, test.edit)
		w.only(w.request("GET", "/api/a", test.lines...))
		h := w.upstream.one(t).header
		if got := strings.Join(h["X-Forwarded-For"], "|"); got != test.chain {
			t.Errorf("%s: X-Forwarded-For %q, want %q", test.name, got, test.chain)
		}
		if h.Get("X-Forwarded-Proto") != test.proto || h.Get("X-Forwarded-Host") != test.host || h["X-Real-Ip"] != nil {
			t.Errorf("%s: the upstream gets %v", test.name, h)
		}
		if e := w.event(); e.Address.String() != test.recorded {
			t.Errorf("%s: %s is recorded, want %s", test.name, e.Address, test.recorded)
		}
	}
}
