package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
)

func (w *world) revoke(t testing.TB, token string, header ...string) *answer {
	t.Helper()
	return w.post(t, oauth.RevokePath, url.Values{"token": {token}}, header...)
}

// RFC 7009, B-05, bar 51: whoever shows a token ends it, at once; nobody learns whether there was one (bar 14).
func TestRevoke(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.user(t, "ada")
	token := w.create(t, id, latchward.NewToken{AllowedEndpoints: []string{"/orders"}})
	disabled := w.create(t, id, latchward.NewToken{})
	if _, err := w.UpdateToken(w.local, disabled.Token.ID, latchward.TokenUpdate{Active: new(bool)}); err != nil {
		t.Fatal(err)
	}
	other := w.create(t, id, latchward.NewToken{})
	secret := token.Secret.Expose()
	first := w.revoke(t, secret)
	if got := w.reason(t, secret); got != latchward.ReasonRevoked {
		t.Errorf("after its revocation a token is %s", got)
	}
	for what, text := range map[string]string{
		"again": secret, "altered": secret[:len(secret)-1] + "0", "nonsense": "x", "disabled": disabled.Secret.Expose(),
		"very long": strings.Repeat("x", 60_000),
	} {
		a := w.revoke(t, text)
		a.header.Del("Date")
		first.header.Del("Date")
		if a.status != http.StatusOK || a.body != "" || !sameHeader(a.header, first.header) {
			t.Errorf("%s: %d %q %v, want the answer to a good one: %v", what, a.status, a.body, a.header, first.header)
		}
	}
	revoked, err := w.Token(w.local, token.Token.ID)
	if err != nil || !revoked.Revoked() {
		t.Errorf("%+v, %v", revoked, err)
	}
	if got := w.reason(t, other.Secret.Expose()); got != latchward.ReasonAllowed {
		t.Errorf("another token is %s", got)
	}
	entries, err := w.AuditEntries(w.local, latchward.AuditFilter{Action: latchward.ActionTokenRevoke, TargetID: int64(token.Token.ID)})
	if err != nil || len(entries) != 1 || entries[0].Actor.Type != latchward.PrincipalToken || !entries[0].Actor.Origin.Address.IsLoopback() {
		t.Errorf("audit: %v, %v", entries, err)
	}
	if strings.Contains(w.log.String(), secret) {
		t.Error("the log holds the token")
	}
}

func sameHeader(a, b http.Header) bool {
	for name := range a {
		if a.Get(name) != b.Get(name) {
			return false
		}
	}
	return len(a) == len(b)
}

// A secret in its grace is live, and ends the token; after it, showing it ends nothing.
func TestRevokeWithOldSecret(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.user(t, "ada")
	for _, test := range []struct {
		wait time.Duration
		want latchward.Reason
	}{{59 * time.Second, latchward.ReasonRevoked}, {time.Minute, latchward.ReasonAllowed}} {
		first := w.create(t, id, latchward.NewToken{})
		second, err := w.RotateToken(w.local, first.Token.ID, latchward.Rotation{Grace: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		w.advance(test.wait)
		if a := w.revoke(t, first.Secret.Expose()); a.status != http.StatusOK {
			t.Errorf("answered %d", a.status)
		}
		if got := w.reason(t, second.Secret.Expose()); got != test.want {
			t.Errorf("%s after the rotation, the new secret is %s, want %s", test.wait, got, test.want)
		}
	}
}

func TestRevokeRefusals(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada")
	secret := w.create(t, id, latchward.NewToken{}).Secret.Expose()
	w.revoke(t, jwt).fault(t, http.StatusBadRequest, "unsupported_token_type")
	w.revoke(t, "").fault(t, http.StatusBadRequest, "invalid_request")
	w.revoke(t, secret, "Authorization", "Basic eDp5").fault(t, http.StatusUnauthorized, "invalid_client")
	w.revoke(t, secret, "Authorization", "Bearer "+secret).fault(t, http.StatusUnauthorized, "invalid_client")
	w.revoke(t, secret, "Authorization", "Bearer a", "Authorization", "Bearer b").fault(t, http.StatusBadRequest, "invalid_request")
	if got := w.reason(t, secret); got != latchward.ReasonAllowed {
		t.Errorf("a refused revocation left the token %s", got)
	}
	for _, hint := range []string{"access_token", "refresh_token", "nonsense"} { // no hint misleads
		secret := w.create(t, id, latchward.NewToken{}).Secret.Expose()
		a := w.post(t, oauth.RevokePath, url.Values{"token": {secret}, "token_type_hint": {hint}, "client_id": {"cli"}})
		if got := w.reason(t, secret); a.status != http.StatusOK || got != latchward.ReasonRevoked {
			t.Errorf("hint %s: %d, and the token is %s", hint, a.status, got)
		}
	}
}

// One address revokes so many a minute, whatever they are; good ones count like bad ones, which tells nobody apart.
func TestRevokeThrottle(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.user(t, "ada")
	secret := w.create(t, id, latchward.NewToken{}).Secret.Expose()
	for range oauth.RevocationsPerMinute {
		if a := w.revoke(t, "x"); a.status != http.StatusOK {
			t.Fatalf("answered %d", a.status)
		}
	}
	for _, token := range []string{"x", secret} {
		a := w.revoke(t, token)
		a.fault(t, http.StatusTooManyRequests, "temporarily_unavailable")
		if a.header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
	w.advance(time.Minute)
	if a := w.revoke(t, secret); a.status != http.StatusOK || w.reason(t, secret) != latchward.ReasonRevoked {
		t.Errorf("a minute later: %d, %s", a.status, w.reason(t, secret))
	}
}
