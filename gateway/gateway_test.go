package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
)

func TestNewRefuses(t *testing.T) {
	good := &url.URL{Scheme: "http", Host: "localhost", Path: "/api"}
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	one := func(u *url.URL) []gateway.Upstream { return []gateway.Upstream{{Prefix: "/", URL: u}} }
	verifier := newService(t)
	tests := map[string]struct {
		o     gateway.Options
		field string
	}{
		"nothing":           {gateway.Options{}, "verifier"},
		"no upstream":       {gateway.Options{Verifier: verifier}, "upstreams"},
		"no upstream, open": {gateway.Options{Open: true}, "upstreams"},
		"base":              {gateway.Options{Verifier: verifier, Base: "api", Upstreams: one(good)}, "base"},
		"prefix":            {gateway.Options{Verifier: verifier, Upstreams: []gateway.Upstream{{Prefix: "a", URL: good}}}, "upstreams[0].prefix"},
		"same prefix": {gateway.Options{Verifier: verifier, Upstreams: []gateway.Upstream{
			{Prefix: "/a", URL: good}, {Prefix: "/a/", URL: good}}}, "upstreams[1].prefix"},
		"no URL":       {gateway.Options{Verifier: verifier, Upstreams: one(nil)}, "upstreams[0].url"},
		"scheme":       {gateway.Options{Verifier: verifier, Upstreams: one(parse("ftp://localhost"))}, "upstreams[0].url"},
		"no host":      {gateway.Options{Verifier: verifier, Upstreams: one(parse("http:///a"))}, "upstreams[0].url"},
		"opaque":       {gateway.Options{Verifier: verifier, Upstreams: one(parse("http:localhost"))}, "upstreams[0].url"},
		"user":         {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://a:b@localhost"))}, "upstreams[0].url"},
		"query":        {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://localhost?a"))}, "upstreams[0].url"},
		"empty query":  {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://localhost?"))}, "upstreams[0].url"},
		"fragment":     {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://localhost#a"))}, "upstreams[0].url"},
		"dot segments": {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://localhost/a/../b"))}, "upstreams[0].url"},
		"spelling":     {gateway.Options{Verifier: verifier, Upstreams: one(parse("http://localhost/%61"))}, "upstreams[0].url"},
	}
	for name, test := range tests {
		_, err := gateway.New(test.o)
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != test.field {
			t.Errorf("%s: %v, want field %s", name, err, test.field)
		}
	}
}

// The path of an upstream is a prefix, with or without a slash at its end; bases may be none.
func TestUpstreamPaths(t *testing.T) {
	for path, want := range map[string]string{"": "/products", "/": "/products", "/v1": "/v1/products", "/v1/": "/v1/products", "/a/%20b": "/a/%20b/products"} {
		for _, base := range []string{"", "/", "/api", "/a%20b/c"} {
			w := start(t, nil, func(o *gateway.Options) {
				o.Base = base
				o.Upstreams[0].URL = mustParse(t, o.Upstreams[0].URL.JoinPath("/").ResolveReference(&url.URL{Path: "/"}).String()+strings.TrimPrefix(path, "/"))
			})
			w.only(w.request("GET", strings.TrimSuffix(base, "/")+"/products"))
			if got := w.upstream.one(t).target; got != want {
				t.Errorf("base %q, upstream path %q: %s, want %s", base, path, got, want)
			}
		}
	}
}

// S2-30, X-17: requests of proven secrets are recorded with all that is known of them, the others only counted
func TestRecording(t *testing.T) {
	w := start(t, nil)
	id, secret := w.create(latchward.NewToken{AllowedEndpoints: []string{"/products*"}})
	w.only(w.requestAs(secret, "POST", "/api/products?x=1", "Content-Length: 5", "User-Agent: test/1") + "hello")
	e := w.event()
	if e.TokenID != id || e.Endpoint != "/products" || e.Method != "POST" || e.Status != 200 || e.RequestBytes != 5 ||
		e.ResponseBytes != 0 || e.UserAgent != "test/1" || e.Address.String() != "127.0.0.1" || e.Duration <= 0 || e.At.IsZero() {
		t.Errorf("recorded as %+v", e)
	}
	w.only(w.requestAs(secret, "GET", "/api/orders"))
	if e := w.event(); e.Status != 403 || e.Reason != latchward.ReasonEndpointNotAllowed {
		t.Errorf("a refusal is recorded as %+v", e)
	}
	for _, raw := range []string{
		w.requestAs("lw_x", "GET", "/api/products"), w.requestAs(secret, "GET", "/elsewhere"), w.requestAs(secret, "GET", "/api/a//b"),
		"GET /api/products HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	} {
		w.only(raw)
	}
	usage, err := w.service.TokenUsage(local(), id, 1)
	if err != nil || len(usage.Recent) != 2 || len(w.events) != 0 {
		t.Errorf("%+v, %v, and %d more events", usage.Recent, err, len(w.events))
	}
}

// S3-19: in open mode everything passes that has one meaning, with whatever credential, and identity is still not forged
func TestOpen(t *testing.T) {
	for _, pass := range []bool{false, true} {
		w := start(t, nil, func(o *gateway.Options) { o.Open, o.Verifier, o.PassCredential = true, nil, pass })
		for _, credential := range []string{"", "Authorization: Bearer " + w.token, "Authorization: garbage", "Authorization: a, b\r\nAuthorization: c"} {
			raw := "GET /api/a?access_token=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Latchward-Subject: user:1\r\nX_Latchward_Owner: user:1\r\n"
			if credential != "" {
				raw += credential + "\r\n"
			}
			a := w.only(raw + "\r\n")
			got := w.upstream.one(t)
			if a.status != 200 || got.target != "/v1/a?access_token=x" || a.header.Get("X-RateLimit-Limit") != "" {
				t.Errorf("%q: %d, %s", credential, a.status, got.target)
			}
			for name := range got.header {
				if strings.HasPrefix(strings.ToLower(name), "x") && !strings.HasPrefix(name, "X-Forwarded-") {
					t.Errorf("%q: the upstream gets %s", credential, name)
				}
			}
			if passed := got.header["Authorization"] != nil; passed != (pass && credential != "") {
				t.Errorf("%q, PassCredential %v: the upstream gets %q", credential, pass, got.header["Authorization"])
			}
		}
		for target, want := range map[string]int{"/api/../x": 400, "/api//x": 400, "/x": 404, "*": 400, "http://a/api/x": 200} {
			a := w.only("GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if a.status != want || a.status != 200 && len(w.upstream.take()) != 0 {
				t.Errorf("%s: %d, want %d", target, a.status, want)
			}
			w.upstream.take()
		}
		checkProblem(t, "FOO", w.only("FOO /api/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 400)
		if len(w.events) != 0 {
			t.Error("usage was recorded")
		}
	}
}

// Upstreams over TLS, speaking HTTP/1.1 and HTTP/2.
func TestSecureUpstream(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s %s", r.Proto, r.RequestURI, r.Host, r.Header.Get("X-Latchward-Subject"))
		}))
		server.EnableHTTP2 = http2
		server.StartTLS()
		defer server.Close()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		w := start(t, nil, to(server.URL+"/v2"), func(o *gateway.Options) { o.RootCAs = roots })
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2] + " /v2/a%20b?c=d%zz " + strings.TrimPrefix(server.URL, "https://") + " user:1"
		if a := w.only(w.request("GET", "/api/a%20b?c=d%zz")); a.body != want {
			t.Errorf("HTTP/2 %v: %d %q, want %q", http2, a.status, a.body, want)
		}
	}
}

// A client that came over TLS is told of.
func TestForwardedProto(t *testing.T) {
	w := start(t, nil)
	server := httptest.NewUnstartedServer(w.gateway)
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	request, _ := http.NewRequestWithContext(context.Background(), "GET", server.URL+"/api/a", nil)
	request.Header.Set("Authorization", "Bearer "+w.token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	client.CloseIdleConnections()
	if got := w.upstream.one(t).header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("X-Forwarded-Proto: %q", got)
	}
}

// Without a peer that has an address, no address is told.
func TestForwardedForOfSocket(t *testing.T) {
	w := start(t, nil)
	r := httptest.NewRequest("GET", "/api/a", nil)
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("X-Forwarded-For", "203.0.113.5")
	r.RemoteAddr, r.TLS = "@", &tls.ConnectionState{}
	recorder := httptest.NewRecorder()
	w.gateway.ServeHTTP(recorder, r)
	if got := w.upstream.one(t).header; recorder.Code != 200 || got["X-Forwarded-For"] != nil || got.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("%d, the upstream gets %v", recorder.Code, got)
	}
}
