package latchward_test

import (
	"testing"

	"github.com/latchward/latchward"
)

// S3-01, S3-05: a token has nothing to do with the sessions of its owner; S3-06, S3-15: and is seen, renamed and revoked.
func TestTokensOutliveSessions(t *testing.T) {
	p := newPeople(t)
	begun := p.setUp()
	ctx := p.as(begun)
	issued := must[latchward.IssuedToken](t)(p.CreateToken(ctx, latchward.NewToken{}))
	name, description := "Hive 7", "the one by the brook"
	changed := must[latchward.IssuedToken](t)(p.UpdateToken(ctx, issued.Token.ID, latchward.TokenUpdate{Name: &name, Description: &description}))
	if changed.Token.Name != name || changed.Token.Description != description {
		t.Errorf("after a change the token is called %q, %q", changed.Token.Name, changed.Token.Description)
	}
	if err := p.SignOut(t.Context(), begun.Secret); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.UseSession(t.Context(), begun.Secret); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Fatalf("the session goes on: %v", err)
	}
	request := latchward.VerifyRequest{Secret: issued.Secret, Method: "GET", Path: "/x"}
	if v := must[latchward.Verdict](t)(p.Verify(t.Context(), request)); !v.Allowed() {
		t.Errorf("a token ended with its owner's sessions: %s", v.Reason)
	}
	again := must[*latchward.SignedIn](t)(p.signIn("ada@example.com", goodPassword, latchward.Secret{}, "192.0.2.1"))
	must[*latchward.Token](t)(p.RevokeToken(p.as(again), issued.Token.ID, latchward.Revocation{Note: "done"}))
	if v := must[latchward.Verdict](t)(p.Verify(t.Context(), request)); v.Reason != latchward.ReasonRevoked {
		t.Errorf("after the revocation: %s", v.Reason)
	}
}
