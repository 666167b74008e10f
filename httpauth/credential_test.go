package httpauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

const (
	missing    = latchward.ReasonMissing
	malformed  = latchward.ReasonMalformed
	badRequest = latchward.ReasonBadRequest
)

func requestWith(target string, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

// C-04, bar 9, 11, 12
func TestCredentialOfHeader(t *testing.T) {
	tests := []struct {
		header []string
		secret string
		reason latchward.Reason
	}{
		{header: nil, reason: missing},
		{header: []string{"Bearer abc"}, secret: "abc"},
		{header: []string{"bearer abc"}, secret: "abc"},
		{header: []string{"BEARER abc"}, secret: "abc"},
		{header: []string{"Bearer aZ09-._~+/=="}, secret: "aZ09-._~+/=="},
		{header: []string{"Bearer a.b.c"}, secret: "a.b.c"},

		{header: []string{""}, reason: malformed},
		{header: []string{" "}, reason: malformed},
		{header: []string{"Bearer"}, reason: malformed},
		{header: []string{"Bearer "}, reason: malformed},
		{header: []string{"Bearer  abc"}, reason: malformed},
		{header: []string{"Bearer\tabc"}, reason: malformed},
		{header: []string{"Bearer abc "}, reason: malformed},
		{header: []string{"Bearer abc def"}, reason: malformed},
		{header: []string{"Bearerabc"}, reason: malformed},
		{header: []string{" Bearer abc"}, reason: malformed},
		{header: []string{"Bearer a=b"}, reason: malformed},
		{header: []string{"Bearer ="}, reason: malformed},
		{header: []string{"Bearer a%67h"}, reason: malformed},
		{header: []string{"Bearer abc\u200b"}, reason: malformed},
		{header: []string{"Bearer \uff11\uff12"}, reason: malformed},
		{header: []string{"Bearer a\x00"}, reason: malformed},
		{header: []string{"Bearer a\r\nb"}, reason: malformed},
		{header: []string{"abc"}, reason: malformed},
		{header: []string{"Basic dXNlcjpwYXNz"}, reason: malformed},
		{header: []string{"Token abc"}, reason: malformed},
		{header: []string{`Digest username="u", realm="r", uri = "/"`}, reason: malformed},

		{header: []string{"Bearer a", "Bearer b"}, reason: badRequest},
		{header: []string{"Bearer a", "Bearer a"}, reason: badRequest},
		{header: []string{"Bearer a", ""}, reason: badRequest},
		{header: []string{"Basic a", "Bearer b"}, reason: badRequest},
		{header: []string{"Bearer a, Bearer b"}, reason: badRequest},
		{header: []string{"Bearer a,Bearer b"}, reason: badRequest},
		{header: []string{"Bearer a,"}, reason: badRequest},
		{header: []string{"Bearer a,b"}, reason: badRequest},
		{header: []string{"Basic a, Bearer b"}, reason: badRequest},
		{header: []string{`Digest a="b", Bearer c`}, reason: badRequest},
		{header: []string{"Bearer " + strings.Repeat("a", 64<<10)}, reason: badRequest},
		{header: []string{"Bearer " + strings.Repeat("a", httpauth.MaxCredentialBytes-6)}, reason: badRequest},
		{
			header: []string{"Bearer " + strings.Repeat("a", httpauth.MaxCredentialBytes-7)},
			secret: strings.Repeat("a", httpauth.MaxCredentialBytes-7),
		},
	}
	for _, test := range tests {
		secret, reason := httpauth.Credential(requestWith("/", test.header...))
		if reason != test.reason || secret.Expose() != test.secret {
			t.Errorf("%.60q: reason %q, secret of %d bytes", test.header, reason, len(secret.Expose()))
		}
	}
}

// C-03, C-04, bar 13
func TestCredentialIsReadNowhereElse(t *testing.T) {
	r := requestWith("/products?token=abc&api_key=abc&key=abc&xaccess_token=abc&access_tokens=abc&access=token")
	r.Header.Set("X-Api-Key", "abc")
	r.Header.Set("Proxy-Authorization", "Bearer abc")
	r.Header.Set("Cookie", "Authorization=Bearer abc; access_token=abc")
	if _, reason := httpauth.Credential(r); reason != missing {
		t.Errorf("reason %q", reason)
	}
	r.Header.Set("Authorization", "Bearer abc")
	if secret, reason := httpauth.Credential(r); reason != "" || secret.Expose() != "abc" {
		t.Errorf("beside other places: reason %q", reason)
	}
}

// bar 13
func TestCredentialInQueryIsRefused(t *testing.T) {
	for _, query := range []string{
		"access_token=abc", "access_token=", "access_token", "a=b&access_token=abc", "a=b;access_token=abc",
		"access%5Ftoken=abc", "%61ccess_token=abc", "bad=%zz&access_token=abc", "&&access_token=abc",
	} {
		for _, header := range [][]string{nil, {"Bearer abc"}, {"Basic abc"}} {
			r := requestWith("/products", header...)
			r.URL.RawQuery = query
			if _, reason := httpauth.Credential(r); reason != badRequest {
				t.Errorf("%s with header %q: reason %q", query, header, reason)
			}
		}
	}
}

// S2-10
func TestLooksLikeJWT(t *testing.T) {
	for text, want := range map[string]bool{
		"a.b.c": true, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln": true,
		"": false, "abc": false, "a.b": false, "a..c": false, ".b.c": false, "a.b.": false, "a.b.c.d": false, "..": false,
		"a.b.c.d.e": false, "lw_abc": false,
	} {
		if got := httpauth.LooksLikeJWT(latchward.SecretFromText(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
