package oauth_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/signin"
)

// derive exchanges an API token for a JWT; pairs of name and value follow.
func (w *world) derive(t testing.TB, token latchward.Secret, pairs ...string) *answer {
	t.Helper()
	return w.exchange(t, token.Expose(), append([]string{
		"subject_token_type", oauth.TypeAccessToken, "requested_token_type", oauth.TypeJWT}, pairs...)...)
}

func (w *world) derived(t testing.TB, token latchward.Secret, pairs ...string) oauth.TokenReply {
	t.Helper()
	a := w.derive(t, token, pairs...)
	var reply oauth.TokenReply
	a.decode(t, &reply)
	if a.status != http.StatusOK || reply.IssuedType != oauth.TypeJWT || reply.TokenType != "Bearer" || reply.TokenID != 0 ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answered %d %+v", a.status, reply)
	}
	return reply
}

// publishedKeys reads the JWKS with no library at all.
func (w *world) publishedKeys(t testing.TB) map[string]ed25519.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Crv, X, Kid, Alg, Use, D string }
	}
	if err := json.Unmarshal([]byte(w.send(t, http.MethodGet, oauth.KeysPath, "").body), &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || k.Kty != "OKP" || k.Crv != "Ed25519" || k.Alg != "EdDSA" || k.Use != "sig" || k.D != "" {
			t.Errorf("published %+v", k)
		}
		keys[k.Kid] = x
	}
	return keys
}

// independent verifies a JWT with a library that did not make it.
func (w *world) independent(t testing.TB, text, kind string) golangjwt.MapClaims {
	t.Helper()
	keys := w.publishedKeys(t)
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{"EdDSA"}), golangjwt.WithIssuer(issuer),
		golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt(), golangjwt.WithTimeFunc(w.clock))
	claims := golangjwt.MapClaims{}
	parsed, err := parser.ParseWithClaims(text, claims, func(t *golangjwt.Token) (any, error) {
		return keys[t.Header["kid"].(string)], nil
	})
	if err != nil || parsed.Header["typ"] != kind {
		t.Fatalf("%v, header %v", err, parsed.Header)
	}
	return claims
}

// B-11: an API token is exchanged for a JWT that another library verifies by the published keys.
func TestDerive(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	token := w.create(t, ada, latchward.NewToken{Permissions: []string{"orders.read", "orders.write"}})
	reply := w.derived(t, token.Secret, "scope", "orders.read", "audience", "https://billing.example", "latchward_expires_in", "60")
	if reply.ExpiresIn != 60 || reply.Scope != "orders.read" {
		t.Errorf("%+v", reply)
	}
	claims := w.independent(t, reply.AccessToken, "at+jwt")
	now := float64(w.clock().Unix())
	for name, want := range map[string]any{
		"iss": issuer, "sub": "user:1", "aud": "https://billing.example", "iat": now, "exp": now + 60, "client_id": "1",
		"scope": "orders.read",
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	if id, _ := claims["jti"].(string); len(id) != 22 {
		t.Errorf("jti is %v", claims["jti"])
	}
	if reason := w.reason(t, reply.AccessToken); reason != latchward.ReasonMalformed {
		t.Errorf("Latchward itself, for which it is not, says %s", reason)
	}
	if reason := w.reason(t, w.derived(t, token.Secret).AccessToken); reason != latchward.ReasonAllowed {
		t.Errorf("one for Latchward itself: %s", reason)
	}
}

func TestDeriveRefuses(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	token := w.create(t, ada, latchward.NewToken{
		RateLimit: 2, Permissions: []string{"orders.read"}, AllowedEndpoints: []string{"/products*"},
	})
	for _, c := range []struct {
		pairs  []string
		status int
		code   string
	}{
		{[]string{"scope", "orders.write"}, 400, "invalid_scope"},
		{[]string{"scope", "offline_access"}, 400, "invalid_scope"},
		{[]string{"scope", "tokens.read"}, 400, "invalid_scope"},
		{[]string{"scope", "*"}, 400, "invalid_scope"},
		{[]string{"latchward_endpoint", "/orders"}, 400, "invalid_request"},
		{[]string{"latchward_endpoint", "orders"}, 400, "invalid_request"},
		{[]string{"latchward_expires_in", "0"}, 400, "invalid_request"},
		{[]string{"latchward_expires_in", "301"}, 400, "invalid_request"},
		{[]string{"latchward_expires_in", "5m"}, 400, "invalid_request"},
		{[]string{"audience", strings.Repeat("x", 256)}, 400, "invalid_target"},
		{[]string{"subject_token", "lw_nonsense"}, 400, "invalid_request"},
	} {
		w.derive(t, token.Secret, c.pairs...).fault(t, c.status, c.code)
	}
	robot := w.verifier(t, ada) // which does hold that permission, but hands it to nobody
	w.derive(t, robot.Secret, "scope", "tokens.verify").fault(t, 400, "invalid_scope")
	if reply := w.derived(t, robot.Secret); reply.Scope != "" {
		t.Errorf("derived without a scope, it holds %q", reply.Scope)
	}
	first := w.derived(t, token.Secret) // none of the refusals took a unit of the limit
	w.derived(t, token.Secret)
	w.derive(t, token.Secret).fault(t, 429, "temporarily_unavailable")
	// it is exchanged for nothing, neither as an API token nor as a person.
	for _, kind := range []string{oauth.TypeAccessToken, oauth.TypeJWT} {
		for _, wanted := range []string{oauth.TypeJWT, oauth.TypeAccessToken, ""} {
			w.exchange(t, first.AccessToken, "subject_token_type", kind, "requested_token_type", wanted).fault(t, 400, "invalid_request")
		}
	}
	if _, err := w.persons.Authenticate(context.Background(), latchward.SecretFromText(first.AccessToken)); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("signing in with it: %v", err)
	}
	if held, _, err := w.HeldToken(w.local, latchward.Presented{Secret: latchward.SecretFromText(first.AccessToken)}); err != nil || held.ID != 0 {
		t.Errorf("the holder's own endpoints: %+v, %v", held, err)
	}
}

// not even when the host application's keys are taken to be ours, with our issuer and audience.
func TestDerivedTokensAreNobody(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	jwt := w.derived(t, w.create(t, ada, latchward.NewToken{}).Secret).AccessToken
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(w.send(t, http.MethodGet, oauth.KeysPath, "").body), 0o600); err != nil {
		t.Fatal(err)
	}
	persons, err := signin.NewJWT(w.Service, signin.JWTOptions{
		JWKSFile: file, Issuer: issuer, Audience: issuer, CreateUsers: true, Now: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := persons.Authenticate(w.local, latchward.SecretFromText(jwt)); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("signed in as %v, %v", p, err)
	}
}

// statusOf returns the status of a derived token from the published list, without our code.
func (w *world) statusOf(t testing.TB, claims golangjwt.MapClaims) byte {
	t.Helper()
	reference := claims["status"].(map[string]any)["status_list"].(map[string]any)
	uri, index := reference["uri"].(string), int(reference["idx"].(float64))
	path, ours := strings.CutPrefix(uri, issuer)
	a := w.send(t, http.MethodGet, path, "", "Accept", "application/statuslist+jwt")
	if !ours || a.status != 200 || a.header.Get("Content-Type") != "application/statuslist+jwt" {
		t.Fatalf("%s answered %d %s", uri, a.status, a.body)
	}
	list := w.independent(t, a.body, "statuslist+jwt")
	inner := list["status_list"].(map[string]any)
	if list["sub"] != uri || list["ttl"] != 30.0 || inner["bits"] != 1.0 {
		t.Errorf("list claims %v", list)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(inner["lst"].(string))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(r)
	if err != nil || len(bits) != latchward.StatusListSize/8 {
		t.Fatalf("%d bytes, %v", len(bits), err)
	}
	return bits[index/8] >> (index % 8) & 1
}

// B-11: the published status list follows what becomes of a derived token and of its API token within a second.
func TestStatusList(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	parent := w.create(t, ada, latchward.NewToken{})
	one, two := w.derived(t, parent.Secret).AccessToken, w.derived(t, parent.Secret).AccessToken
	claims := []golangjwt.MapClaims{w.independent(t, one, "at+jwt"), w.independent(t, two, "at+jwt")}
	want := func(what string, first, second byte) {
		t.Helper()
		w.advance(latchward.StatusListDelay)
		if a, b := w.statusOf(t, claims[0]), w.statusOf(t, claims[1]); a != first || b != second {
			t.Errorf("%s: %d and %d, want %d and %d", what, a, b, first, second)
		}
	}
	want("at first", 0, 0)
	a := w.post(t, oauth.RevokePath, map[string][]string{"token": {one}}) // RFC 7009
	if a.status != 200 || w.reason(t, one) != latchward.ReasonRevoked || w.reason(t, two) != latchward.ReasonAllowed {
		t.Errorf("after the revocation of one: %d, %s, %s", a.status, w.reason(t, one), w.reason(t, two))
	}
	want("one revoked", 1, 0)
	off, on := false, true
	_, err := w.UpdateToken(w.local, parent.Token.ID, latchward.TokenUpdate{Active: &off})
	if err != nil {
		t.Fatal(err)
	}
	want("disabled", 1, 1)
	if _, err := w.UpdateToken(w.local, parent.Token.ID, latchward.TokenUpdate{Active: &on}); err != nil {
		t.Fatal(err)
	}
	want("enabled", 1, 0)
	if _, err := w.RevokeToken(w.local, parent.Token.ID, latchward.Revocation{}); err != nil {
		t.Fatal(err)
	}
	want("revoked", 1, 1)
}

func TestStatusListRoutes(t *testing.T) {
	w := newWorld(t, nil)
	now := w.clock().Unix() / 3600 * 8
	path := func(id string) string { return "/oauth/status-lists/" + id }
	live := path(itoa(now))
	for target, want := range map[string]int{
		live: 200, path("0"): 404, path("-1"): 404, path("x"): 404, path("01"): 404, path(""): 404, path(itoa(now + 8)): 404,
		path(itoa(now - 8)): 200, path(itoa(now - 16)): 200, path(itoa(now - 24)): 404, live + "?time=1686925000": 501, path("99999999999999999999"): 404,
	} {
		if a := w.send(t, http.MethodGet, target, ""); a.status != want {
			t.Errorf("%s answered %d, want %d", target, a.status, want)
		}
	}
	for accept, want := range map[string]int{
		"application/statuslist+jwt": 200, "*/*": 200, "application/json": 406, "application/statuslist+cwt": 406,
		"text/html, application/*;q=0.5": 200, "application/statuslist+jwt;q=0": 406,
	} {
		if a := w.send(t, http.MethodGet, live, "", "Accept", accept); a.status != want {
			t.Errorf("Accept %s answered %d, want %d", accept, a.status, want)
		}
	}
	if a := w.send(t, http.MethodPost, live, ""); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answered %d", a.status)
	}
}

func itoa(n int64) string { return json.Number(mustJSON(n)).String() }

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// bar 137: the JWKS shows both keys during the overlap, old tokens live to their end, and an emergency ends them at once.
func TestKeysOverlap(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	parent := w.create(t, ada, latchward.NewToken{})
	empty := w.send(t, http.MethodGet, oauth.KeysPath, "")
	if empty.body != "{\"keys\":[]}\n" || empty.header.Get("Content-Type") != "application/jwk-set+json" ||
		empty.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("before the first need: %q, %v", empty.body, empty.header)
	}
	old := w.derived(t, parent.Secret).AccessToken
	before := w.send(t, http.MethodGet, oauth.KeysPath, "")
	tag := before.header.Get("ETag")
	if a := w.send(t, http.MethodGet, oauth.KeysPath, "", "If-None-Match", tag); a.status != 304 || tag == "" {
		t.Errorf("with its ETag %q: %d", tag, a.status)
	}
	w.advance(time.Second)
	if err := w.RotateSigningKey(w.local, latchward.SigningRotation{}); err != nil {
		t.Fatal(err)
	}
	if a := w.send(t, http.MethodGet, oauth.KeysPath, "", "If-None-Match", tag); a.status != 200 || len(w.publishedKeys(t)) != 2 {
		t.Errorf("after the rotation: %d, %d keys", a.status, len(w.publishedKeys(t)))
	}
	w.independent(t, old, "at+jwt")
	w.advance(2 * latchward.SigningKeysMaxAge)
	next := w.derived(t, parent.Secret).AccessToken
	if head(t, next)["kid"] == head(t, old)["kid"] {
		t.Error("the next key does not sign")
	}
	w.independent(t, next, "at+jwt")
	first, err := w.StatusList(w.local, issuer, w.clock().Unix()/3600*8)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RotateSigningKey(w.local, latchward.SigningRotation{Emergency: true}); err != nil {
		t.Fatal(err)
	}
	second, err := w.StatusList(w.local, issuer, w.clock().Unix()/3600*8)
	if err != nil || head(t, second)["kid"] == head(t, first)["kid"] {
		t.Errorf("the status list is still signed by the revoked key, %v", err)
	}
	if reason := w.reason(t, next); reason != latchward.ReasonMalformed {
		t.Errorf("after the emergency: %s", reason)
	}
	keys := w.publishedKeys(t)
	if _, still := keys[head(t, next)["kid"].(string)]; still || len(keys) != 1 {
		t.Errorf("after the emergency %d keys are published", len(keys))
	}
}

func head(t testing.TB, text string) map[string]any {
	t.Helper()
	encoded, _, _ := strings.Cut(text, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(decoded, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

// Introspection tells of a derived token what it says, as far as its API token still lets it (RFC 7662).
func TestIntrospectDerived(t *testing.T) {
	w := newWorld(t, nil)
	ada, _ := w.user(t, "ada", "administrator")
	parent := w.create(t, ada, latchward.NewToken{Permissions: []string{"orders.*"}})
	caller := w.verifier(t, ada).Secret.Expose()
	jwt := w.derived(t, parent.Secret, "scope", "orders.read", "audience", "https://a.example", "latchward_endpoint", "/a").AccessToken
	ask := func() (i oauth.Introspection) {
		t.Helper()
		a := w.post(t, oauth.IntrospectPath, map[string][]string{"token": {jwt}}, "Authorization", "Bearer "+caller)
		a.decode(t, &i)
		return i
	}
	i := ask()
	if !i.Active || i.Scope != "orders.read" || i.Audience[0] != "https://a.example" || len(i.ID) != 22 || i.Endpoints[0] != "/a" ||
		i.ExpiresAt != w.clock().Add(5*time.Minute).Unix() || i.TokenID != parent.Token.ID {
		t.Errorf("%+v", i)
	}
	if _, err := w.RevokeToken(w.local, parent.Token.ID, latchward.Revocation{}); err != nil {
		t.Fatal(err)
	}
	if i := ask(); i.Active || i.Restrictions != nil {
		t.Errorf("after the revocation: %+v", i)
	}
}
