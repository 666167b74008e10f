package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// bar 114: what a cookie authenticates comes from our own pages
func TestForeignRequests(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	token := `{"name":"planted"}`
	for name, c := range map[string]struct {
		path, body string
		header     []string
	}{
		"page, another origin": {"/account/name", "name=Eve", []string{"Content-Type", form, "Origin", "https://evil"}},
		"page, cross-site": {"/account/name", "name=Eve", []string{"Content-Type", form, "Sec-Fetch-Site",
			"cross-site"}},
		"page, same-site": {"/account/name", "name=Eve", []string{"Content-Type", form, "Sec-Fetch-Site",
			"same-site"}},
		"page, text": {"/account/name", "name=Eve", []string{"Content-Type", "text/plain", "Sec-Fetch-Site",
			"same-origin"}},
		"page, multipart": {"/account/name", "x", []string{"Content-Type", "multipart/form-data; boundary=x"}},
		"page, lying": {"/account/name", "name=Eve", []string{"Content-Type", form, "Origin", "https://evil",
			"Sec-Fetch-Site", "same-origin"}},
		"sign-out, cross-site": {"/signout", "", []string{"Sec-Fetch-Site", "cross-site"}},
		"sign-in, cross-site": {"/signin", "email=x&password=y", []string{"Content-Type", form, "Sec-Fetch-Site",
			"cross-site"}},
		"passkey, cross-site": {"/account/passkeys/begin", "{}", []string{"Content-Type", asJSON, "Sec-Fetch-Site",
			"cross-site"}},
		"passkey, text":       {"/account/passkeys/begin", "{}", []string{"Content-Type", "text/plain"}},
		"API, another origin": {"/api/api-tokens", token, []string{"Content-Type", asJSON, "Origin", "https://evil"}},
		"API, another port": {"/api/api-tokens", token, []string{"Content-Type", asJSON, "Origin",
			"http://localhost:1"}},
		"API, cross-site": {"/api/api-tokens", token, []string{"Content-Type", asJSON, "Sec-Fetch-Site",
			"cross-site"}},
		"API, same-site": {"/api/api-tokens", token, []string{"Content-Type", asJSON, "Sec-Fetch-Site", "same-site"}},
		"API, text": {"/api/api-tokens", token, []string{"Content-Type", "text/plain", "Sec-Fetch-Site",
			"same-origin"}},
		"API, form":              {"/api/api-tokens", token, []string{"Content-Type", form}},
		"API, no media type":     {"/api/api-tokens", token, nil},
		"API, none, cross-site":  {"/api/api-tokens/1/revoke", "", []string{"Sec-Fetch-Site", "cross-site"}},
		"API, null, no metadata": {"/api/api-tokens", token, []string{"Content-Type", asJSON, "Origin", "null"}},
	} {
		v.send("POST", c.path, c.body, c.header...).want(t, name, 403)
	}
	v.get("/account").want(t, "afterwards", 200, `value="Ada Example"`)
	v.send("POST", "/api/api-tokens", token, "Content-Type", asJSON, "Origin", v.url, "Sec-Fetch-Site", "same-origin").
		want(t, "our own page", 201, "planted")
	v.send("POST", "/signin", "email=x&password=y", "Content-Type", form, "Origin", "null", "Sec-Fetch-Site",
		"same-origin").
		want(t, "a page that sends no referrers", 401)
}

// bar 114: a crawl changes nothing
func TestGETChangesNothing(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	before := r.contents(t)
	for _, path := range []string{
		"/", "/signin", "/signin?next=/account", "/signin/code", "/signin/password", "/setup", "/account", "/account?done=name",
		"/account/confirm", "/static/style.css", "/static/passkey.js", "/nothing", "/signout", "/account/totp",
		"/account/sessions/end", "/api/latchward/users", "/api/api-tokens", "/account/oidc", "/signin/oidc", "/signin/oidc/callback",
	} {
		if a := v.get(path); a.err != nil || a.status >= 500 {
			t.Errorf("%s: %d, %v", path, a.status, a.err)
		}
	}
	if after := r.contents(t); after != before {
		t.Errorf("the database was changed:\n%s\n%s", before, after)
	}
}

// bar 118, 119: how pages are served
func TestPageHeaders(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	for _, path := range []string{"/account", "/signin", "/setup", "/nothing", "/static/style.css"} {
		a := v.get(path)
		policy := a.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: no %q in the policy %q", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || a.header.Get("Cache-Control") != "no-store" ||
			a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, a.header)
		}
		if regexp.MustCompile(`(?i)(src|href|action)="(https?:)?//|\sstyle=|<style|\son[a-z]+="|<script>`).MatchString(a.body) {
			t.Errorf("%s loads from elsewhere, or holds scripts or styles:\n%s", path, a.body)
		}
	}
}

// bar 108: where a sign-in leads to
func TestOpenRedirect(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	v := setUp(t, r)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for next, want := range map[string]string{
		"//evil": "/", `/\evil`: "/", "https:evil": "/", "https://evil": "/", "evil": "/", "": "/", "/\t/evil": "/", "/%5cevil": "/",
		"/%2f/evil": "/", "javascript:alert(1)": "/", "///evil": "/", "/account": "/account", "/account?done=name": "/account?done=name",
	} {
		a := v.post("/signin", "email", adaEmail, "password", adaPassword, "next", next)
		if a.status != 303 || a.header.Get("Location") != want {
			t.Errorf("next=%q: %d to %q, want %q", next, a.status, a.header.Get("Location"), want)
		}
	}
}
