package httpauth_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// bar 22: whatever is sent gives exactly one credential or none; what is accepted is in the header as it was sent.
func FuzzCredential(f *testing.F) {
	for _, seed := range []string{
		"Bearer abc", "bearer a.b.c", "Bearer a, Bearer b", `Digest a="b", c=d`, "", "Basic x", "Bearer \x00", "Bearer a==",
	} {
		f.Add(seed, "a=b&c=d")
	}
	f.Add("Bearer abc", "access_token=x")
	f.Add("Bearer abc", "%61ccess_token")
	f.Fuzz(func(t *testing.T, value, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {value}}}
		secret, reason := httpauth.Credential(r)
		if (reason == "") == secret.IsZero() {
			t.Fatalf("reason %q with a secret of %d bytes", reason, len(secret.Expose()))
		}
		if reason != "" {
			return
		}
		if len(value) != len("Bearer ")+len(secret.Expose()) || !strings.HasSuffix(value, " "+secret.Expose()) {
			t.Fatalf("took %q from %q", secret.Expose(), value)
		}
		if strings.ContainsAny(secret.Expose(), ", \t\r\n\x00\"") {
			t.Fatalf("took %q", secret.Expose())
		}
		if values, err := url.ParseQuery(query); err == nil && values.Has("access_token") {
			t.Fatalf("accepted beside %q", query)
		}
	})
}

// bar 21, 22: the address of a trusted proxy is never taken for that of a client it speaks for, and what a client sends
// before the proxy's own addition changes nothing.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{
		"203.0.113.5", "garbage", "10.0.0.1", "", ",", `for="`, "for=1.2.3.4", `for=1.2.3.4;x="`, "::1%eth0", "[::1]:80",
		`for="\`,
	} {
		f.Add(seed)
	}
	listed, forwarded := proxies(f, "", "10.0.0.0/8"), proxies(f, "Forwarded", "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, sent string) {
		for header, p := range map[string]*httpauth.Proxies{"X-Forwarded-For": listed, "Forwarded": forwarded} {
			check := func(want string, lines ...string) {
				got := clientAddress(p, "10.0.0.9:1", header, lines...)
				if got != want && (want != "" || got == "10.0.0.9") {
					t.Fatalf("%s %q: %s", header, lines, got)
				}
				if address, err := netip.ParseAddr(got); err == nil && (address.Is4In6() || address.Zone() != "") {
					t.Fatalf("%s %q: %s", header, lines, got)
				}
			}
			if !strings.Contains(sent, "10.0.0.9") {
				check("", sent)
			}
			if header == "Forwarded" {
				check("198.51.100.7", sent, "for=198.51.100.7")
			} else {
				check("198.51.100.7", sent, "198.51.100.7")
				check("198.51.100.7", sent+", 198.51.100.7")
			}
		}
	})
}

// bar 23, 24: what is judged is what a server that decodes the target would serve, or the request is refused.
func FuzzJudgedPath(f *testing.F) {
	for _, seed := range []string{
		"/a/b", "/a%2Fb\"", "/%61", "//a", "/a?b=/../c", "http://api.example.com/a", "http://api.example.com", "*", "/a;b",
		"/a%252e", "/\u00e4", "/a#b", "http://x/a", "/.%2e/b",
	} {
		f.Add(seed)
	}
	yes := verifyFunc(func(context.Context, latchward.VerifyRequest) (latchward.Verdict, error) { return *allowed(), nil })
	judge := httpauth.Judge{Verifier: yes}
	f.Fuzz(func(t *testing.T, target string) {
		parsed, err := url.ParseRequestURI(target)
		if err != nil || target == "" {
			return // a server refuses it itself
		}
		v, path, err := judge.Judge(wire(http.MethodGet, target))
		if err != nil || !v.Allowed() {
			return
		}
		decoded, err := url.PathUnescape(path)
		if served := parsed.Path; err != nil || decoded != served && (served != "" || decoded != "/") {
			t.Fatalf("%q: judged %q, served %q, %v", target, path, served, err)
		}
	})
}
