package signin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

var (
	now    = time.Date(2026, time.November, 22, 10, 30, 0, 0, time.UTC)
	secret = []byte("0123456789abcdef0123456789abcdef")
)

func TestMintedJWTSignsIn(t *testing.T) {
	text, err := signin.MintJWT(secret, signin.Claims{
		Subject: "ada", Email: "ada@example.com", Name: "Ada", Roles: []string{"admin"},
		IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	people := &people{}
	j := newJWT(t, people, signin.JWTOptions{Secret: secret})
	p, err := j.Authenticate(t.Context(), latchward.SecretFromText(text))
	want := latchward.Identity{ExternalID: "ada", Email: "ada@example.com", Name: "Ada", Administrator: true}
	if err != nil || people.seen != want || p.ID != 3 {
		t.Errorf("%+v signed in as %+v: %v", people.seen, p, err)
	}
	text, err = signin.MintJWT(secret, signin.Claims{
		Issuer: "shop", Audience: "api", Subject: "bob", IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	shop := newJWT(t, people, signin.JWTOptions{Secret: secret, Issuer: "shop", Audience: "api"})
	if _, err := shop.Authenticate(t.Context(), latchward.SecretFromText(text)); err != nil ||
		people.seen != (latchward.Identity{ExternalID: "bob"}) {
		t.Errorf("%+v: %v", people.seen, err)
	}
}

func TestMintJWTRefuses(t *testing.T) {
	good := signin.Claims{Subject: "ada", IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	nobody, never, past := good, good, good
	nobody.Subject, never.ExpiresAt, past.ExpiresAt = "", time.Time{}, now
	for field, attempt := range map[string]struct {
		secret []byte
		claims signin.Claims
	}{
		"secret": {secret[:31], good}, "subject": {secret, nobody}, "expires_at": {secret, never},
	} {
		if _, err := signin.MintJWT(attempt.secret, attempt.claims); latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := signin.MintJWT(secret, past); latchward.ErrorCode(err) != latchward.CodeInvalid {
		t.Errorf("a JWT that is over at once: %v", err)
	}
}

// The secret is in no error and no printed form.
func TestSecretDoesNotShow(t *testing.T) {
	j := newJWT(t, &people{}, signin.JWTOptions{Secret: secret})
	_, err := signin.NewJWT(nil, signin.JWTOptions{Secret: secret[:31]})
	for _, text := range []string{sprint(j), err.Error()} {
		if strings.Contains(text, string(secret[:16])) || strings.Contains(text, "48 49 50 51") {
			t.Errorf("the secret shows in %.100s", text)
		}
	}
}
