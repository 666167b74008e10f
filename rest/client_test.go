package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/rest"
)

// Every management method of the client, over real HTTP.
func TestClientManages(t *testing.T) {
	p := newPopulated(t)
	ctx, c := context.Background(), p.adminClient()
	created, err := c.CreateToken(ctx, rest.NewToken{
		Name: rest.Some("CLI"), RateLimit: rest.Some[int64](5), ExpiresAt: rest.Some(rest.Time{Time: start.Add(time.Hour)}),
		IdleTimeoutDays: rest.Null[int](), AllowedEndpoints: rest.Some([]string{"/a*"}),
	})
	must(t, err)
	id := created.Token.ID
	if created.Token.Secret.IsZero() || created.Token.IdleTimeoutDays != nil ||
		!created.Token.ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("%s", jsonOf(t, created))
	}
	changed, err := c.UpdateToken(ctx, id, rest.TokenChange{Active: new(bool), Tags: rest.Some([]string{"x"})})
	must(t, err)
	if changed.Token.Active || changed.Token.RateLimit != 5 || changed.Message == "" {
		t.Errorf("%s", jsonOf(t, changed))
	}
	list, err := c.Tokens(ctx, rest.TokenQuery{
		Tag: "x", Status: latchward.StatusInactive, Limit: 1, Sort: latchward.SortName, Order: rest.Descending, Owner: "1",
		UnusedSince: rest.Time{Time: start.Add(time.Minute)}, Text: "cli",
	})
	must(t, err)
	if len(list.Tokens) != 1 || list.Tokens[0].TokenCounts == nil || list.NextCursor != nil {
		t.Errorf("%s", jsonOf(t, list))
	}
	rotated, err := c.RotateToken(ctx, id, rest.Rotation{})
	must(t, err)
	if rotated.Token.ID != id || rotated.Token.Secret.Equal(created.Token.Secret.Secret) {
		t.Errorf("%s", jsonOf(t, rotated))
	}
	revoked, err := c.RevokeToken(ctx, id, rest.Revocation{Reason: rest.Some("lost")})
	must(t, err)
	shown, err := c.Token(ctx, id)
	must(t, err)
	if jsonOf(t, revoked) != jsonOf(t, shown) || *shown.Token.RevokeNote != "lost" {
		t.Errorf("%s", jsonOf(t, shown))
	}
	_, err = c.RevokeToken(ctx, id, rest.Revocation{})
	must(t, err)
	_, err = c.TokenUsage(ctx, id, 0)
	must(t, err)
	overview, err := c.UsageOverview(ctx, 30)
	must(t, err)
	if overview.Overview.ActiveTokens != 3 {
		t.Errorf("%+v", overview)
	}
	message, err := c.DeleteToken(ctx, id)
	must(t, err)
	if message.Message != "API token deleted successfully" {
		t.Errorf("%+v", message)
	}
	_, err = c.Token(ctx, id)
	wantCode(t, err, latchward.CodeNotFound, "")
	entries, err := c.Audit(ctx, rest.AuditQuery{
		AuditSelection: rest.AuditSelection{TargetType: "token", TargetID: id}, Limit: 3,
	})
	must(t, err)
	if len(entries.Entries) != 3 || entries.Entries[0].Action != "token.delete" || entries.NextCursor == nil {
		t.Errorf("%s", jsonOf(t, entries))
	}
}

func TestClientManagesUsersAndKeys(t *testing.T) {
	p := newPopulated(t)
	ctx, c := context.Background(), p.adminClient()
	added, err := c.CreateUser(ctx, rest.NewUser{Email: rest.Some("eve@example.com"), ExternalID: rest.Some("sub-1")})
	must(t, err)
	id := added.User.ID
	_, err = c.CreateUser(ctx, rest.NewUser{Email: rest.Some("EVE@example.com")})
	wantCode(t, err, latchward.CodeConflict, "email")
	off := false
	changed, err := c.UpdateUser(ctx, id, rest.UserChange{Name: rest.Some("Eve"), Active: &off,
		ExternalID: rest.Null[string]()})
	must(t, err)
	if *changed.User.Name != "Eve" || changed.User.Active || changed.User.ExternalID != nil ||
		*changed.User.Email != "eve@example.com" {
		t.Errorf("%s", jsonOf(t, changed))
	}
	users, err := c.Users(ctx, rest.UserQuery{Limit: 2})
	must(t, err)
	if len(users.Users) != 2 || users.NextCursor == nil {
		t.Fatalf("%s", jsonOf(t, users))
	}
	users, err = c.Users(ctx, rest.UserQuery{Limit: 2, Cursor: *users.NextCursor})
	must(t, err)
	if len(users.Users) != 1 || users.NextCursor != nil || users.Users[0].ID != id {
		t.Errorf("%s", jsonOf(t, users))
	}
	users, err = c.Users(ctx, rest.UserQuery{Limit: 3})
	must(t, err)
	if len(users.Users) != 3 || users.NextCursor != nil {
		t.Errorf("a page that is just full goes on: %s", jsonOf(t, users))
	}
	_, err = c.RemoveUser(ctx, id)
	must(t, err)
	removed, err := c.User(ctx, id)
	must(t, err)
	if removed.User.Email != nil || removed.User.RemovedAt.IsZero() {
		t.Errorf("%s", jsonOf(t, removed))
	}
	for includeRemoved, want := range map[bool]int{true: 3, false: 2} {
		users, err := c.Users(ctx, rest.UserQuery{IncludeRemoved: includeRemoved})
		must(t, err)
		if len(users.Users) != want {
			t.Errorf("%d users", len(users.Users))
		}
	}
	keys, err := c.KeyStatus(ctx)
	must(t, err)
	if len(keys.Keys) != 2 || keys.Keys[0].Current || !keys.Keys[1].Current || keys.Keys[1].Tokens != 3 ||
		len(keys.Keys[1].Fingerprint) != 16 {
		t.Errorf("%+v", keys)
	}
	_, err = c.DropKey(ctx, 2)
	wantCode(t, err, latchward.CodeConflict, "")
	keys, err = c.DropKey(ctx, 1)
	must(t, err)
	if len(keys.Keys) != 1 {
		t.Errorf("%+v", keys)
	}
	keys, err = c.RotateKey(ctx)
	must(t, err)
	if len(keys.Keys) != 2 || keys.Keys[0].Current || keys.Keys[0].Tokens != 3 {
		t.Errorf("%+v", keys)
	}
}

// Without a key manager the keys can be seen, not changed; and a stranger learns nothing of that.
func TestKeysElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.adminClient().RotateKey(context.Background())
	wantCode(t, err, latchward.CodeConflict, "")
	if r := w.do(http.MethodPost, "/api/latchward/keys/rotate", memberJWT, ""); r.Code != http.StatusForbidden {
		t.Errorf("a member: status %d", r.Code)
	}
}

// The client is a Verifier for the same middleware that serves an embedded service, and gives it the same answers.
func TestClientUnderMiddleware(t *testing.T) {
	p := newPopulated(t)
	issued := p.issue(latchward.NewToken{RateLimit: 2, AllowedEndpoints: []string{"GET /a*"},
		Permissions: []string{"a.b"}})
	twin := p.issue(latchward.NewToken{RateLimit: 2, AllowedEndpoints: []string{"GET /a*"}, Permissions: []string{"a.b"}})
	c := p.client(rest.ClientOptions{Token: p.tokens[3].Secret})
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := latchward.VerdictFrom(r.Context())
		h := http.Header{}
		httpauth.SetIdentity(h, &v)
		h.Del(httpauth.HeaderTokenID)
		_, _ = fmt.Fprint(w, h, v.Path)
	})
	embedded := httpauth.Require(p.service, httpauth.Options{Base: "/api", Now: p.clock.Now})(echo)
	remote := httpauth.Require(c, httpauth.Options{Base: "/api", Now: p.clock.Now})(echo)
	for _, target := range []string{"/api/a", "/api/a%62", "/api/b", "/api/a//b", "/api/a", "/other"} {
		answers := [2]*httptest.ResponseRecorder{httptest.NewRecorder(), httptest.NewRecorder()}
		for i, side := range []struct {
			handler http.Handler
			secret  latchward.Secret
		}{{embedded, issued.Secret}, {remote, twin.Secret}} {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Header.Set("Authorization", "Bearer "+side.secret.Expose())
			side.handler.ServeHTTP(answers[i], r)
		}
		if a, b := answers[0], answers[1]; a.Code != b.Code || a.Body.String() != b.Body.String() ||
			fmt.Sprint(a.Header()) != fmt.Sprint(b.Header()) {
			t.Errorf("%s: embedded %d %v %s\nremote %d %v %s", target, a.Code, a.Header(), a.Body, b.Code, b.Header(), b.Body)
		}
	}
}

// What the server has against the client itself is no verdict, and not the fault of whoever is judged.
func TestClientVerifyErrors(t *testing.T) {
	p := newPopulated(t)
	ctx := context.Background()
	for name, token := range map[string]latchward.Secret{
		"unknown": latchward.SecretFromText("garbage"), "without the right": p.tokens[1].Secret, "none": {},
	} {
		_, err := p.client(rest.ClientOptions{Token: token}).Verify(ctx, latchward.VerifyRequest{Secret: p.tokens[1].Secret})
		if latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := p.client(rest.ClientOptions{Token: p.tokens[3].Secret})
	_, err := c.Verify(ctx, latchward.VerifyRequest{Secret: p.tokens[1].Secret, Cost: 101})
	wantCode(t, err, latchward.CodeInvalid, "cost")
	_, err = c.Verify(ctx, latchward.VerifyRequest{Secret: p.tokens[1].Secret, Cost: -1})
	wantCode(t, err, latchward.CodeInvalid, "cost")
	for _, r := range []latchward.VerifyRequest{{Path: "/\xff"}, {Path: "a"}, {Method: "get"}} {
		if v, err := c.Verify(ctx, r); err != nil || v.Reason != latchward.ReasonBadRequest {
			t.Errorf("%+v: %+v, %v", r, v, err)
		}
	}
	v, err := c.Verify(ctx, latchward.VerifyRequest{})
	if err != nil || v.Reason != latchward.ReasonMissing {
		t.Errorf("nothing presented: %+v, %v", v, err)
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, body string) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		header := http.Header{"Location": {"https://evil.example/"}}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: header, Request: r},
			nil
	})}
}

// What answers may be anything; errors have the right code and never the credential.
func TestClientErrors(t *testing.T) {
	const secret = "lw_thisIsTheSecret"
	ctx := context.Background()
	var log strings.Builder
	for _, c := range []struct {
		http  *http.Client
		code  latchward.Code
		field string
	}{
		{answering(400, `{"error":"no","code":"invalid","field":"name"}`), latchward.CodeInvalid, "name"},
		{answering(401, `{"error":"no","code":"invalid_token"}`), latchward.CodeUnauthenticated, ""},
		{answering(403, `{"error":"no","code":"insufficient_permissions"}`), latchward.CodeForbidden, ""},
		{answering(404, `<html>`), latchward.CodeNotFound, ""},
		{answering(409, `{}`), latchward.CodeConflict, ""},
		{answering(413, ``), latchward.CodeInvalid, ""},
		{answering(429, `{"error":"no","code":"rate_limited"}`), latchward.CodeExhausted, ""},
		{answering(500, `oops`), latchward.CodeInternal, ""},
		{answering(502, `oops`), latchward.CodeUnavailable, ""},
		{answering(503, `{"error":"no","code":"unavailable"}`), latchward.CodeUnavailable, ""},
		{answering(200, `<html>`), latchward.CodeUnavailable, ""},
		{answering(307, ``), latchward.CodeInternal, ""}, // not followed
		{&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errTest })},
			latchward.CodeUnavailable, ""},
	} {
		client, err := rest.NewClient("https://tokens.example.com/prefix/", rest.ClientOptions{
			Token: latchward.SecretFromText(secret), HTTPClient: c.http, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		must(t, err)
		_, err = client.Token(ctx, 1)
		wantCode(t, err, c.code, c.field)
		if text := fmt.Sprintf("%v %+v %#v %s", err, err, client, log.String()); strings.Contains(text, secret) {
			t.Errorf("the credential is told: %s", text)
		}
	}
	client, err := rest.NewClient("https://tokens.example.com", rest.ClientOptions{HTTPClient: &http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errTest }),
	}})
	must(t, err)
	if _, err := client.Token(ctx, 1); !errors.Is(err, errTest) {
		t.Errorf("the cause is lost: %v", err)
	}
	for _, base := range []string{"", "tokens.example.com", "ftp://x", "http://", "https://u:pw@x", "https://x?a=b",
		"https://x#a", "http://x y", ":"} {
		_, err := rest.NewClient(base, rest.ClientOptions{})
		wantCode(t, err, latchward.CodeInvalid, "base_url")
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("a password is told: %v", err)
		}
	}
	_, err = rest.NewClient("https://x", rest.ClientOptions{Token: latchward.SecretFromText("a"),
		JWT: latchward.SecretFromText("b")})
	wantCode(t, err, latchward.CodeInvalid, "jwt")
}

// What is asked goes to the right place with the right headers, under a prefix too.
func TestClientRequests(t *testing.T) {
	var seen *http.Request
	client, err := rest.NewClient("https://tokens.example.com/prefix/", rest.ClientOptions{
		JWT: latchward.SecretFromText("a.b.c"),
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = r
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
		})},
	})
	must(t, err)
	_, err = client.Tokens(context.Background(), rest.TokenQuery{Text: "a&b=c", Limit: 3})
	must(t, err)
	if got := seen.URL.String(); got != "https://tokens.example.com/prefix/api/api-tokens?limit=3&q=a%26b%3Dc" {
		t.Errorf("asked %s", got)
	}
	if seen.Header.Get("Authorization") != "Bearer a.b.c" || seen.Header.Get("Content-Type") != "" {
		t.Errorf("headers %v", seen.Header)
	}
}

// A reply with a secret can be printed and logged, and the secret is in its JSON only.
func TestSecretsOfReplies(t *testing.T) {
	w := newWorld(t, nil)
	r := w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{}`)
	reply := decode[rest.TokenReply](t, r, 201)
	secret := reply.Token.Secret.Expose()
	if !strings.Contains(r.Body.String(), secret) || !strings.Contains(jsonOf(t, reply), secret) {
		t.Error("the secret is not told")
	}
	var log strings.Builder
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log,
		nil))} {
		logger.Info("created", "reply", reply, "token", reply.Token, "secret", reply.Token.Secret)
	}
	log.WriteString(fmt.Sprintf("%v %+v %#v %s %q", reply, reply, reply, reply.Token.Secret, reply.Token.Secret))
	if strings.Contains(log.String(), secret) {
		t.Errorf("the secret is printed: %s", log.String())
	}
}

// S2-32, bar 21: the client's address is that of the peer, unless a trusted proxy says otherwise.
func TestAddresses(t *testing.T) {
	proxies, err := httpauth.NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "")
	must(t, err)
	for peer, want := range map[string]string{"10.0.0.1:1": "203.0.113.5", "198.51.100.1:1": "198.51.100.1"} {
		w := newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Proxies = proxies })
		r := newRequest(http.MethodPost, "/api/api-tokens", `{}`)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "203.0.113.5")
		r.Header.Set("Authorization", "Bearer "+adminJWT)
		decode[rest.TokenReply](t, w.serve(r), 201)
		entries, err := w.service.AuditEntries(asAdmin(), latchward.AuditFilter{Action: "token.create"})
		must(t, err)
		if got := entries[0].Actor.Origin.Address.String(); got != want {
			t.Errorf("peer %s: address %s", peer, got)
		}
	}
}

// C-02: guesses are limited by address; a valid credential never is.
func TestGuesses(t *testing.T) {
	clock := &clock{now: start}
	w := newWorld(t, func(_ *latchward.Options, o *rest.Options) { o.Guard = httpauth.NewGuard(3, clock.Now) })
	for i := range 5 {
		for _, bearer := range []string{"", adminJWT} {
			want := map[string]int{"": 401, adminJWT: 200}[bearer]
			if r := w.do(http.MethodGet, "/api/api-tokens", bearer, ""); r.Code != want {
				t.Errorf("%q: status %d", bearer, r.Code)
			}
		}
		want := 401
		if i >= 3 {
			want = 429
		}
		if r := w.do(http.MethodGet, "/api/api-tokens", []string{"guess", brokenJWT}[i%2], ""); r.Code != want {
			t.Errorf("guess %d: status %d, want %d", i, r.Code, want)
		}
	}
}
