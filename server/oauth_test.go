package server_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// Metadata is served where clients look for it, and names an issuer that they can reach (RFC 8414).
func TestOAuthMetadata(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	a := get(t, r.URL()+oauth.MetadataPath, "")
	a.want(t, "metadata", http.StatusOK)
	var m oauth.Metadata
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(r.URL(), "127.0.0.1", "localhost", 1); m.Issuer != want || m.TokenEndpoint != want+"/oauth/token" {
		t.Errorf("issuer %s, token endpoint %s; want them at %s", m.Issuer, m.TokenEndpoint, want)
	}
	get(t, r.URL()+"/oauth/nothing", "").want(t, "another path", http.StatusNotFound, `"error":"invalid_request"`)
}

// A server whose address cannot be told, or is plain HTTP, names no issuer until the operator does.
func TestOAuthIssuer(t *testing.T) {
	proxy := []string{"trusted_proxies", "127.0.0.1"}
	for _, test := range []struct {
		name   string
		pairs  []string
		issuer string // "" = no metadata
		status int
	}{
		{"all addresses", append(proxy, "api.listen", "0.0.0.0:0"), "", http.StatusNotFound},
		{"configured", append(proxy, "api.listen", "0.0.0.0:0", "oauth.issuer", "https://tokens.example.com/"),
			"https://tokens.example.com", http.StatusOK},
		{"off", []string{"oauth.issuer", "off"}, "", http.StatusNotFound},
		{"no authentication", []string{"authentication", "off"}, "", http.StatusConflict}, // S3-19
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, settings(t, folder(t), test.pairs...))
			a := get(t, r.URL()+oauth.MetadataPath, "")
			a.want(t, "metadata", test.status)
			var m oauth.Metadata
			if err := json.Unmarshal([]byte(a.body), &m); err != nil || m.Issuer != test.issuer {
				t.Errorf("issuer %q, want %q (%v)", m.Issuer, test.issuer, err)
			}
		})
	}
}

func TestOAuthLifetime(t *testing.T) {
	r := start(t, settings(t, folder(t), "oauth.token_lifetime", "90s"))
	exchange(t, r.URL(), r.jwt(t).Expose(), oauth.TypeJWT, "latchward_expires_in", "3600").
		want(t, "a token", http.StatusOK, `"expires_in":`)
	tokens, err := r.administrator(t).Tokens(t.Context(), rest.TokenQuery{})
	if err != nil || len(tokens.Tokens) != 1 || time.Until(tokens.Tokens[0].ExpiresAt.Time) > 90*time.Second {
		t.Errorf("%+v, %v", tokens.Tokens, err)
	}
	_, err = server.Load(server.Sources{File: "/dev/null", Flags: map[string]string{"oauth.token_lifetime": "0s"}})
	if err == nil || !strings.Contains(err.Error(), "oauth.token_lifetime must be at least 1s") {
		t.Errorf("no lifetime: %v", err)
	}
}

func TestOAuthIssuerRefused(t *testing.T) {
	for _, issuer := range []string{
		"http://tokens.example.com", "https://tokens.example.com/path", "https://tokens.example.com?x=1",
		"https://tokens.example.com#x", "https://user@tokens.example.com", "tokens.example.com", "ftp://localhost", "https://",
	} {
		if _, err := server.Load(server.Sources{File: "/dev/null", Flags: map[string]string{"oauth.issuer": issuer}}); err == nil ||
			!strings.Contains(err.Error(), "oauth.issuer") {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}

// exchange asks for an API token at a server, by a subject token of a type.
func exchange(t *testing.T, server, subject, kind string, pairs ...string) answer {
	t.Helper()
	form := url.Values{"grant_type": {oauth.GrantExchange}, "subject_token": {subject}, "subject_token_type": {kind}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return postForm(t, http.DefaultClient, server+oauth.TokenPath, form)
}

func postForm(t *testing.T, client *http.Client, address string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, client, r)
}

// S3-01, S3-02, S3-05: who signed in on the pages gets a token for the session, and the token outlives that. A cookie
// alone is no subject token, and a session that has ended is worth nothing.
func TestOAuthForSession(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	v := setUp(t, r)
	session := v.cookie("latchward_local")
	a := exchange(t, r.URL(), session, oauth.TypeSession, "scope", "offline_access")
	a.want(t, "exchanging a session", http.StatusOK)
	var reply oauth.TokenReply
	if err := json.Unmarshal([]byte(a.body), &reply); err != nil {
		t.Fatal(err)
	}
	jarless := url.Values{"grant_type": {oauth.GrantExchange}, "subject_token_type": {oauth.TypeSession}}
	postForm(t, v.client, r.URL()+oauth.TokenPath, jarless).want(t, "a cookie alone", http.StatusBadRequest, "subject_token is missing")
	postForm(t, v.client, r.PagesURL()+oauth.TokenPath, jarless).want(t, "at the pages", http.StatusNotFound)
	v.post("/signout").want(t, "signing out", http.StatusOK)
	exchange(t, r.URL(), session, oauth.TypeSession).want(t, "a session that has ended", http.StatusBadRequest, "invalid_request")
	get(t, r.URL()+"/api/products", "Bearer "+reply.AccessToken).want(t, "the token, after signing out", http.StatusOK)
	for _, secret := range []string{session, reply.AccessToken} {
		if strings.Contains(r.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// Whoever can open the data folder may introspect without a credential, through the socket.
func TestOAuthOnSocket(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	_, secret := r.token(t, rest.NewToken{})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(r.config.Data, "latchward.sock"))
	}}}
	defer client.CloseIdleConnections()
	form := url.Values{"token": {secret}}
	postForm(t, client, "http://socket"+oauth.IntrospectPath, form).want(t, "by the socket", http.StatusOK, `"active":true`)
	postForm(t, http.DefaultClient, r.URL()+oauth.IntrospectPath, form).want(t, "by the address", http.StatusUnauthorized)
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", http.StatusOK, `class="4xx",surface="oauth"} 1`)
}

// No spelling of our paths reaches an upstream, also when everything else does; OAuth that is off leaves them alone.
func TestOAuthPathsAreOurs(t *testing.T) {
	var seen atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer up.Close()
	r := start(t, settings(t, folder(t), "upstreams", up.URL, "base", "/"))
	_, secret := r.token(t, rest.NewToken{})
	for _, path := range []string{"/oauth/token", "/oauth/%74oken", "/oauth/x", "/.well-known/oauth-authorization-server"} {
		get(t, r.URL()+path, "Bearer "+secret)
	}
	if seen.Load() != 0 {
		t.Error("the upstream saw a request of ours")
	}
	off := start(t, settings(t, folder(t), "upstreams", up.URL, "base", "/", "oauth.issuer", "off"))
	_, secret = off.token(t, rest.NewToken{})
	get(t, off.URL()+"/oauth/token", "Bearer "+secret).want(t, "a path of the upstream's", http.StatusOK)
	if seen.Load() != 1 {
		t.Errorf("the upstream saw %d requests", seen.Load())
	}
}

// S5-13: a program of one's own speaks OAuth once it says by which address.
func TestOAuthActivated(t *testing.T) {
	mux := http.NewServeMux()
	tokens := activate(t, mux, server.Activation{
		Data: folder(t), Settings: map[string]string{"oauth.issuer": "https://shop.example.com"},
	})
	if status, body := ask(mux, oauth.MetadataPath, ""); status != http.StatusOK || !strings.Contains(body, `"issuer":"https://shop.example.com"`) {
		t.Errorf("metadata: %d %s", status, body)
	}
	if status, body := ask(mux, oauth.TokenPath, ""); status != http.StatusMethodNotAllowed {
		t.Errorf("the token endpoint: %d %s", status, body)
	}
	if status, _ := ask(mux, "/oauth", ""); status != http.StatusTemporaryRedirect && status != http.StatusMovedPermanently {
		t.Errorf("beside it: %d", status)
	}
	if tokens.UseCases == nil {
		t.Error("no use cases")
	}
	plain := http.NewServeMux()
	activate(t, plain, server.Activation{Data: folder(t)})
	if status, _ := ask(plain, oauth.MetadataPath, ""); status != http.StatusNotFound {
		t.Errorf("without an issuer: %d", status)
	}
}

// The Go client asks what a token is good for, and gets errors as errors.
func TestOAuthClient(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	_, secret := r.token(t, rest.NewToken{Name: rest.Some("robot"), AllowedEndpoints: rest.Some([]string{"/orders"})})
	told, err := oauth.Introspect(t.Context(), r.verifier(t), secretOf(secret))
	if err != nil || !told.Active || told.TokenName != "robot" || !slices.Equal(told.Endpoints, []string{"/orders"}) {
		t.Errorf("%+v %+v, %v", told, told.Restrictions, err)
	}
	told, err = oauth.Introspect(t.Context(), r.verifier(t), secretOf("lw_nonsense"))
	if err != nil || told.Active || told.TokenID != 0 {
		t.Errorf("%+v, %v", told, err)
	}
	if _, err := oauth.Introspect(t.Context(), r.administrator(t), secretOf(secret)); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("by a person: %v", err)
	}
	var reply struct{ Error int }
	if err := r.administrator(t).PostForm(t.Context(), "/api/latchward/verify", url.Values{"a": {"b"}}, &reply); latchward.ErrorCode(err) != latchward.CodeInvalid &&
		latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("a form where none is taken: %v", err)
	}
	if err := r.verifier(t).PostForm(t.Context(), oauth.IntrospectPath, url.Values{"token": {"x"}}, &reply.Error); latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("an answer of another form: %v", err)
	}
}
