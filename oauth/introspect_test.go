package oauth_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
)

func (w *world) introspect(t testing.TB, verifier, token string) *answer {
	t.Helper()
	return w.post(t, oauth.IntrospectPath, url.Values{"token": {token}}, "Authorization", "Bearer "+verifier)
}

func (w *world) introspection(t testing.TB, verifier, token string) oauth.Introspection {
	t.Helper()
	a := w.introspect(t, verifier, token)
	told := oauth.Introspection{Restrictions: &oauth.Restrictions{}}
	a.decode(t, &told)
	if a.status != http.StatusOK {
		t.Errorf("answered %d", a.status)
	}
	return told
}

// bar 19: what a resource server learns about a token, and that it can enforce all of it.
func TestIntrospect(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.CreateRole(w.local, latchward.NewRole{Name: "clerk", Permissions: []string{"orders.*", "users.read"}}); err != nil {
		t.Fatal(err)
	}
	id, _ := w.user(t, "ada", "clerk")
	verifier := w.verifier(t, id).Secret.Expose()
	expires := w.clock().Add(time.Hour)
	personal := w.create(t, id, latchward.NewToken{
		Name: "laptop", AllowedEndpoints: []string{"GET /products*"}, Permissions: []string{"*.read", "stores.write"},
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ExpiresAt: expires, NotBefore: w.clock().Add(-time.Hour),
	})
	got := w.introspection(t, verifier, personal.Secret.Expose())
	want := oauth.Introspection{
		Active: true, Scope: "orders.read", ClientID: "2", Username: "ada", TokenType: "Bearer", ExpiresAt: expires.Unix(),
		IssuedAt: w.clock().Unix(), NotBefore: w.clock().Add(-time.Hour).Unix(), Subject: "user:1", Issuer: issuer,
		ID: personal.Secret.Expose()[3:14],
		Restrictions: &oauth.Restrictions{
			TokenID: 2, TokenName: "laptop", Kind: "personal", Owner: "user:1", Endpoints: []string{"GET /products*"},
			Networks: []string{"10.0.0.0/8"}, Permissions: []string{"orders.read"}, Roles: []string{}, Groups: []string{}, Licenses: []string{},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.Restrictions, want, want.Restrictions)
	}
	service := w.create(t, id, latchward.NewToken{Name: "robot", Kind: latchward.KindService, Roles: []string{"clerk"}})
	got = w.introspection(t, verifier, service.Secret.Expose())
	if got.Subject != "token:3" || got.Username != "ada" || got.ClientID != "3" || got.Endpoints != nil || got.Networks != nil ||
		got.ExpiresAt != 0 || !reflect.DeepEqual(got.Roles, []string{"clerk"}) || got.Scope != "orders.* users.read" {
		t.Errorf("%+v %+v", got, got.Restrictions)
	}
	// bar 60: what the owner loses, the token loses.
	if _, err := w.UpdateUser(w.local, id, latchward.UserUpdate{Roles: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	if got = w.introspection(t, verifier, personal.Secret.Expose()); !got.Active || got.Scope != "" || len(got.Permissions) != 0 {
		t.Errorf("after a demotion: %+v %+v", got, got.Restrictions)
	}
}

// A license that is not valid now is none.
func TestIntrospectLicenses(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.user(t, "ada")
	for name, until := range map[string]time.Time{"over": w.clock(), "good": w.clock().Add(time.Hour)} {
		if _, err := w.CreateLicense(w.local, latchward.NewLicense{Name: name, ValidUntil: until}); err != nil {
			t.Fatal(err)
		}
	}
	token := w.create(t, id, latchward.NewToken{Kind: latchward.KindService, Licenses: []string{"good", "over"}})
	got := w.introspection(t, w.verifier(t, id).Secret.Expose(), token.Secret.Expose())
	if !reflect.DeepEqual(got.Licenses, []string{"good"}) {
		t.Errorf("licenses %v", got.Licenses)
	}
}

// bar 19: of what is not good, nothing is told but that.
func TestIntrospectInactive(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada")
	verifier := w.verifier(t, id).Secret.Expose()
	token := w.create(t, id, latchward.NewToken{})
	check := func(what, token string, active bool) {
		t.Helper()
		a := w.introspect(t, verifier, token)
		if inactive := a.body == `{"active":false}`; a.status != http.StatusOK || inactive == active {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	secret := token.Secret.Expose()
	check("good", secret, true)
	check("nonsense", "x", false)
	check("altered", secret[:len(secret)-1], false)
	check("with a line end", secret+"\n", false)
	check("JWT of a person", jwt, false)
	check("very long", strings.Repeat("lw_", 20_000), false)
	next, err := w.RotateToken(w.local, token.Token.ID, latchward.Rotation{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.introspection(t, verifier, secret); !got.Active || got.ExpiresAt != w.clock().Add(time.Hour).Unix() {
		t.Errorf("in its grace: %+v", got)
	}
	w.advance(time.Hour)
	check("after its grace", secret, false)
	secret = next.Secret.Expose()
	check("rotated", secret, true)
	if _, err := w.UpdateToken(w.local, token.Token.ID, latchward.TokenUpdate{Active: new(bool)}); err != nil {
		t.Fatal(err)
	}
	check("disabled", secret, false)
	yes := true
	if _, err := w.UpdateToken(w.local, token.Token.ID, latchward.TokenUpdate{Active: &yes}); err != nil {
		t.Fatal(err)
	}
	check("enabled", secret, true)
	if _, err := w.RevokeToken(w.local, token.Token.ID, latchward.Revocation{}); err != nil {
		t.Fatal(err)
	}
	check("revoked", secret, false)
	if strings.Contains(w.log.String(), secret) {
		t.Error("the log holds the token")
	}
}

// Who asks must be allowed to (RFC 7662 §2.1): by bearer, or as a client with its id and secret.
func TestIntrospectCallers(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada", "administrator")
	verifier := w.verifier(t, id)
	secret := verifier.Secret.Expose()
	personal := w.create(t, id, latchward.NewToken{}).Secret.Expose()
	other := w.create(t, id, latchward.NewToken{Kind: latchward.KindService, Permissions: []string{"*"}}).Secret.Expose()
	narrow := w.create(t, id, latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{"tokens.verify"}, AllowedEndpoints: []string{"/orders"},
	}).Secret.Expose()
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, test := range []struct {
		name, authorization string
		status              int
		code, challenge     string
	}{
		{"verifier", "Bearer " + secret, 200, "", ""},
		{"verifier as a client", basic("1", secret), 200, "", ""},
		{"another client's id", basic("2", secret), 401, "invalid_client", "Basic "},
		{"no client id", basic("", secret), 401, "invalid_client", "Basic "},
		{"wrong client secret", basic("1", secret[:52]+"x"), 401, "invalid_client", "Basic "},
		{"client secret that is badly encoded", basic("1", "%zz"), 401, "invalid_client", "Bearer "},
		{"nobody", "", 401, "invalid_client", "Bearer "},
		{"nonsense", "Bearer x", 401, "invalid_token", "Bearer "},
		{"another scheme", "Digest x", 401, "invalid_client", "Bearer "},
		{"a person", "Bearer " + jwt, 401, "invalid_token", "Bearer "},
		{"personal token of an administrator", "Bearer " + personal, 403, "insufficient_scope", "Bearer "},
		{"service token with a wildcard", "Bearer " + other, 403, "insufficient_scope", "Bearer "},
		{"verifier for another endpoint", "Bearer " + narrow, 403, "unauthorized_client", ""},
		{"two credentials in one", "Bearer " + secret + ", Bearer " + secret, 400, "invalid_request", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			if test.authorization != "" {
				header = []string{"Authorization", test.authorization}
			}
			a := w.post(t, oauth.IntrospectPath, url.Values{"token": {personal}}, header...)
			if test.status == http.StatusOK {
				told := oauth.Introspection{Restrictions: &oauth.Restrictions{}}
				if a.decode(t, &told); !told.Active {
					t.Errorf("answered %s", a.body)
				}
				return
			}
			a.fault(t, test.status, test.code)
			if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, test.challenge) || got != "" && test.challenge == "" {
				t.Errorf("challenged with %q", got)
			}
		})
	}
	values := url.Values{"token": {personal}, "client_secret": {secret}, "client_id": {"1"}}
	w.post(t, oauth.IntrospectPath, values).fault(t, 401, "invalid_client")
	w.post(t, oauth.IntrospectPath, values, "Authorization", "Bearer "+secret).fault(t, 400, "invalid_request")
	w.post(t, oauth.IntrospectPath, values, "Authorization", basic("1", secret)).fault(t, 400, "invalid_request")
	w.post(t, oauth.IntrospectPath, nil, "Authorization", "Bearer "+secret).fault(t, 400, "invalid_request")
	// A hint may say anything (RFC 7662 §2.1).
	hinted := w.post(t, oauth.IntrospectPath, url.Values{"token": {personal}, "token_type_hint": {"nonsense"}}, "Authorization", "Bearer "+secret)
	if hinted.status != http.StatusOK || !strings.Contains(hinted.body, `"active":true`) {
		t.Errorf("with a hint: %d %s", hinted.status, hinted.body)
	}
	if strings.Contains(w.log.String(), personal) || strings.Contains(w.log.String(), secret) {
		t.Error("the log holds a token")
	}
}

// The caller's own limit counts, the token's does not; a fleet of callers leaves one event a minute.
func TestIntrospectCosts(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.user(t, "ada")
	verifier := w.create(t, id, latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{latchward.PermissionVerify}, RateLimit: 5,
	})
	token := w.create(t, id, latchward.NewToken{RateLimit: 1})
	for range 5 {
		if !w.introspection(t, verifier.Secret.Expose(), token.Secret.Expose()).Active {
			t.Fatal("not active")
		}
	}
	a := w.introspect(t, verifier.Secret.Expose(), token.Secret.Expose())
	a.fault(t, http.StatusTooManyRequests, "temporarily_unavailable")
	if a.header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if v, err := w.Verify(w.local, latchward.VerifyRequest{Secret: token.Secret}); err != nil || !v.Allowed() {
		t.Errorf("introspection took the token's limit: %s, %v", v.Reason, err)
	}
	for tokenID, want := range map[latchward.TokenID]int64{verifier.Token.ID: 2, token.Token.ID: 0} { // allowed, and refused
		usage, err := w.TokenUsage(w.local, tokenID, 1)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, hour := range usage.Hours {
			n += hour.Requests
		}
		if n != want {
			t.Errorf("token %d has %d events, want %d", tokenID, n, want)
		}
	}
	if got, err := w.Token(w.local, token.Token.ID); err != nil || !got.LastUsedAt.IsZero() {
		t.Errorf("used at %s, %v", got.LastUsedAt, err)
	}
}
