package signin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

type anybody struct{}

func (anybody) SignIn(context.Context, latchward.Identity, bool) (latchward.Principal, error) {
	return latchward.Principal{Type: latchward.PrincipalUser, ID: 1}, nil
}

// What is remembered is bounded, and nothing that was refused is.
func TestRememberedIsBounded(t *testing.T) {
	var m remembered
	for i := range 3 * maxRemembered {
		m.put(sha256.Sum256(fmt.Append(nil, i)), goodJWT{})
		if len(m.good) > maxRemembered {
			t.Fatalf("%d are remembered", len(m.good))
		}
	}
	last := sha256.Sum256(fmt.Append(nil, 3*maxRemembered-1))
	if _, ok := m.get(last); !ok {
		t.Error("the last one is not remembered")
	}
}

func TestOnlyGoodJWTsAreRemembered(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	secret := []byte("0123456789abcdef0123456789abcdef")
	j, err := NewJWT(anybody{}, JWTOptions{Secret: secret, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	text, err := MintJWT(secret, Claims{Subject: "ada", IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	try := func(text string, want latchward.Code, remembered int) {
		t.Helper()
		_, err := j.Authenticate(t.Context(), latchward.SecretFromText(text))
		if latchward.ErrorCode(err) != want || len(j.remembered.good) != remembered {
			t.Errorf("%v, %d remembered", err, len(j.remembered.good))
		}
	}
	try(text[:len(text)-2], latchward.CodeUnauthenticated, 0)
	try(text, "", 1)
	try(text, "", 1)
	try(text[:len(text)-2], latchward.CodeUnauthenticated, 1)
	now = now.Add(2 * time.Hour)
	try(text, latchward.CodeUnauthenticated, 0)
}
