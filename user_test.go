package latchward_test

import (
	"context"
	"testing"

	"github.com/latchward/latchward"
)

func signIn(t *testing.T, f *fixture, subject string) (latchward.Principal, latchward.Code) {
	t.Helper()
	p, err := f.SignIn(context.Background(), latchward.Identity{ExternalID: subject, Email: subject + "@example.com", Name: "N"}, true)
	return p, latchward.ErrorCode(err)
}

// A person of the host application becomes an ordinary user at first sight and keeps that account.
func TestSignIn(t *testing.T) {
	f := newFixture(t, nil)
	first, code := signIn(t, f, "sub-1")
	if code != "" || first.Administrator || first.ID == 0 {
		t.Fatalf("first sight: %+v, %s", first, code)
	}
	again, _ := signIn(t, f, "sub-1")
	if again.ID != first.ID {
		t.Errorf("another account the second time: %d and %d", first.ID, again.ID)
	}
	admin, err := f.SignIn(context.Background(), latchward.Identity{ExternalID: "sub-1", Administrator: true}, true)
	if err != nil || !admin.Administrator {
		t.Errorf("an administrator by claim: %+v, %v", admin, err)
	}
	user, err := f.User(f.ctx, latchward.UserID(first.ID))
	if err != nil || user.Administrator() {
		t.Errorf("the claim was stored: %+v, %v", user, err)
	}
	if _, err := f.SignIn(context.Background(), latchward.Identity{ExternalID: "sub-2"}, false); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("an unknown person who must not be created: %v", err)
	}
	for _, bad := range []string{"", "removed:abc"} {
		if _, code := signIn(t, f, bad); code != latchward.CodeUnauthenticated {
			t.Errorf("subject %q: %s", bad, code)
		}
	}
}

// An e-mail in a JWT never joins somebody to an existing account.
func TestSignInDoesNotLinkByEmail(t *testing.T) {
	f := newFixture(t, nil)
	local, err := f.CreateUser(f.ctx, latchward.NewUser{Email: "Sub-9@Example.com", Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	p, code := signIn(t, f, "sub-9")
	if code != "" || p.ID == int64(local.ID) || p.Administrator {
		t.Errorf("signed in as %+v (%s), local user is %d", p, code, local.ID)
	}
}

// S3-07, X-14: deactivated and removed people are out at once; only an administrator lets a removed one back in.
func TestLeavingAndComingBack(t *testing.T) {
	f := newFixture(t, nil)
	p, _ := signIn(t, f, "sub-1")
	id := latchward.UserID(p.ID)
	off, on := false, true
	if _, err := f.UpdateUser(f.ctx, id, latchward.UserUpdate{Active: &off}); err != nil {
		t.Fatal(err)
	}
	if _, code := signIn(t, f, "sub-1"); code != latchward.CodeUnauthenticated {
		t.Errorf("deactivated: %q", code)
	}
	if _, err := f.UpdateUser(f.ctx, id, latchward.UserUpdate{Active: &on}); err != nil {
		t.Fatal(err)
	}
	if _, code := signIn(t, f, "sub-1"); code != "" {
		t.Errorf("reactivated: %q", code)
	}
	issued, err := f.CreateToken(as(id, false), latchward.NewToken{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveUser(f.ctx, id); err != nil {
		t.Fatal(err)
	}
	if got := f.reason(t, issued.Secret); got != latchward.ReasonRevoked {
		t.Errorf("token of a removed person: %s", got)
	}
	for range 2 {
		if _, code := signIn(t, f, "sub-1"); code != latchward.CodeUnauthenticated {
			t.Errorf("removed: %q", code)
		}
	}
	tombstone, err := f.User(f.ctx, id)
	if err != nil || tombstone.Email != "" || tombstone.Name != "" || tombstone.ExternalID == "sub-1" {
		t.Errorf("personal data stays: %+v, %v", tombstone, err)
	}
	if _, err := f.CreateUser(f.ctx, latchward.NewUser{ExternalID: "sub-1", Email: "sub-1@example.com"}); err != nil {
		t.Fatalf("letting them back in: %v", err)
	}
	back, code := signIn(t, f, "sub-1")
	if code != "" || back.ID == p.ID {
		t.Errorf("back as %+v, %q", back, code)
	}
	if got := f.reason(t, issued.Secret); got != latchward.ReasonRevoked {
		t.Errorf("their old token lives again: %s", got)
	}
}

func TestUserConflicts(t *testing.T) {
	f := newFixture(t, nil)
	first, err := f.CreateUser(f.ctx, latchward.NewUser{Email: "a@example.com", ExternalID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for field, n := range map[string]latchward.NewUser{
		"email":       {Email: "A@EXAMPLE.COM"},
		"external_id": {ExternalID: "x"},
	} {
		_, err := f.CreateUser(f.ctx, n)
		if latchward.ErrorCode(err) != latchward.CodeConflict || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, n := range []latchward.NewUser{{}, {Email: "nobody"}, {Email: "@x"}, {Name: "a\x1bb"}} {
		if _, err := f.CreateUser(f.ctx, n); latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if _, err := f.CreateUser(as(first.ID, false), latchward.NewUser{Name: "n"}); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("created by an ordinary user: %v", err)
	}
	if _, err := f.User(as(first.ID, false), first.ID+1000); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("somebody else: %v", err)
	}
	if me, err := f.User(as(first.ID, false), first.ID); err != nil || me.ID != first.ID {
		t.Errorf("oneself: %v", err)
	}
}
