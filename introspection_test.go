package latchward_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

func (f *fixture) introspect(t fatal, secret latchward.Secret) *latchward.Introspection {
	t.Helper()
	i := must[latchward.Introspection](t)(f.Introspect(context.Background(), secret))
	return &i
}

// bar 19: whatever makes a secret unusable makes it inactive, and nothing is told about it; what depends on the request
// does not.
func TestIntrospectionKnowsEveryState(t *testing.T) {
	change := func(u latchward.TokenUpdate) func(*fixture, latchward.TokenID) error {
		return func(f *fixture, id latchward.TokenID) error { _, err := f.UpdateToken(f.ctx, id, u); return err }
	}
	for _, test := range []struct {
		name   string
		n      latchward.NewToken
		do     func(*fixture, latchward.TokenID) error
		active bool
	}{
		{name: "plain", active: true},
		{name: "restricted by what a request says", active: true, n: latchward.NewToken{
			AllowedEndpoints: []string{"GET /orders"}, AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Permissions: []string{},
		}},
		{name: "disabled", do: change(latchward.TokenUpdate{Active: new(bool)})},
		{name: "revoked", do: func(f *fixture, id latchward.TokenID) error {
			_, err := f.RevokeToken(f.ctx, id, latchward.Revocation{})
			return err
		}},
		{name: "deleted", do: func(f *fixture, id latchward.TokenID) error { return f.DeleteToken(f.ctx, id) }},
		{name: "rotated", do: func(f *fixture, id latchward.TokenID) error {
			_, err := f.RotateToken(f.ctx, id, latchward.Rotation{})
			return err
		}},
		{name: "in its grace", active: true, do: func(f *fixture, id latchward.TokenID) error {
			_, err := f.RotateToken(f.ctx, id, latchward.Rotation{Grace: time.Minute})
			return err
		}},
		{name: "after its grace", do: func(f *fixture, id latchward.TokenID) error {
			_, err := f.RotateToken(f.ctx, id, latchward.Rotation{Grace: time.Minute})
			f.advance(time.Minute)
			return err
		}},
		{name: "idle", do: func(f *fixture, _ latchward.TokenID) error { f.advance(30*24*time.Hour + 1); return nil }},
		{name: "last day of idling", active: true, do: func(f *fixture, _ latchward.TokenID) error { f.advance(30 * 24 * time.Hour); return nil }},
		{name: "not yet valid", n: latchward.NewToken{NotBefore: time.Date(2026, 11, 22, 10, 0, 1, 0, time.UTC)}},
		{name: "expired", n: latchward.NewToken{ExpiresAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}},
		{name: "owner disabled", do: func(f *fixture, _ latchward.TokenID) error {
			_, err := f.UpdateUser(f.ctx, f.owner, latchward.UserUpdate{Active: new(bool)})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, nil)
			issued := f.create(t, test.n)
			f.introspect(t, issued.Secret) // what it was is remembered
			if test.do != nil {
				if err := test.do(f, issued.Token.ID); err != nil {
					t.Fatal(err)
				}
			}
			i := f.introspect(t, issued.Secret)
			if i.Active() != test.active {
				t.Errorf("active is %v", i.Active())
			}
			if !test.active && (i.Rights != nil || i.Subject != (latchward.Subject{}) || i.KeyID != (latchward.KeyID{}) || !i.EndsAt.IsZero()) {
				t.Errorf("something is told about it: %+v", i)
			}
		})
	}
}

func TestIntrospectionOfNonsense(t *testing.T) {
	f := newFixture(t, nil)
	text := f.create(t, latchward.NewToken{}).Secret.Expose()
	for _, secret := range []string{"", "nonsense", text[:len(text)-1], text + "x", " " + text} {
		if f.introspect(t, latchward.SecretFromText(secret)).Active() {
			t.Errorf("%d characters are active", len(secret))
		}
	}
}

// Introspection takes nothing of any limit, is no use of the token, does not end a secret that ends at first use of the
// next, and is no reuse of one that was rotated out.
func TestIntrospectionChangesNothing(t *testing.T) {
	f := newFixture(t, nil)
	first := f.create(t, latchward.NewToken{RateLimit: 2, Reuse: latchward.ReuseRevoke})
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{AtFirstUse: true}))
	entries := f.auditCount(t)
	for range 10 {
		if !f.introspect(t, second.Secret).Active() || !f.introspect(t, first.Secret).Active() {
			t.Fatal("not active")
		}
	}
	if n := f.auditCount(t) - entries; n != 0 {
		t.Errorf("%d entries in the audit log", n)
	}
	stats := f.Stats()
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed) // the second of two: nothing was taken
	f.wantReason(t, second.Secret, latchward.ReasonRateLimited)
	if f.introspect(t, first.Secret).Active() || f.introspect(t, first.Secret).Active() { // reuse would revoke
		t.Error("the old secret outlived the first use of the new one")
	}
	if !f.introspect(t, second.Secret).Active() { // a limit says nothing about the token
		t.Error("looking at a rotated-out secret ended the token")
	}
	if token := must[*latchward.Token](t)(f.Token(f.ctx, first.Token.ID)); !token.LastUsedAt.IsZero() {
		t.Errorf("used at %s", token.LastUsedAt)
	}
	if stats.Verdicts[latchward.ReasonAllowed] != 0 {
		t.Errorf("counted as verdicts: %v", stats.Verdicts)
	}
}

// A secret in its grace has an end of its own, if the token's is not earlier.
func TestIntrospectionEnds(t *testing.T) {
	f := newFixture(t, nil)
	expires := f.clock().Add(time.Hour)
	first := f.create(t, latchward.NewToken{ExpiresAt: expires})
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{Grace: time.Minute}))
	if got := f.introspect(t, first.Secret).EndsAt; !got.Equal(f.clock().Add(time.Minute)) {
		t.Errorf("the old secret ends at %s", got)
	}
	if got := f.introspect(t, second.Secret).EndsAt; !got.Equal(expires) {
		t.Errorf("the new secret ends at %s", got)
	}
	third := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{Grace: 2 * time.Hour}))
	if got := f.introspect(t, second.Secret).EndsAt; !got.Equal(expires) {
		t.Errorf("a secret whose grace is longer than its token lives ends at %s", got)
	}
	if a, b := f.introspect(t, second.Secret).KeyID, f.introspect(t, third.Secret).KeyID; a == b {
		t.Error("both secrets have the same id")
	}
}

func TestIntrospectionWithoutStore(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{})
	f.store.mu.Lock()
	f.store.fail = latchward.Errorf(latchward.CodeUnavailable, "down")
	f.store.mu.Unlock()
	if i, err := f.Introspect(f.ctx, issued.Secret); latchward.ErrorCode(err) != latchward.CodeUnavailable || i.Active() {
		t.Errorf("active %v, error %v", i.Active(), err)
	}
}

// B-03: an imported secret is told of like our own; where too many unknown ones came, a good one is not called inactive.
func TestIntrospectionOfImportedSecrets(t *testing.T) {
	f := newFixture(t, nil)
	ids := f.mustImport(t, digestLine("", sha(foreignText(0)), "", ""), digestLine("", sha(foreignText(-1)), "", ""))
	foreign := func(n int) latchward.Secret { return latchward.SecretFromText(foreignText(n)) }
	if i := f.introspect(t, foreign(0)); !i.Active() || i.Token.ID != ids[0] {
		t.Errorf("%+v", i)
	}
	for n := range 1000 {
		if f.introspect(t, foreign(n+1)).Active() {
			t.Fatal("an unknown secret is active")
		}
	}
	if i, err := f.Introspect(f.ctx, foreign(-1)); latchward.ErrorCode(err) != latchward.CodeUnavailable || i.Active() {
		t.Errorf("active %v, error %v", i.Active(), err)
	}
	f.advance(time.Minute)
	if i := f.introspect(t, foreign(-1)); !i.Active() || i.Token.ID != ids[1] {
		t.Errorf("a minute later: %+v", i)
	}
}

// The grants that rights come to hold what the rights hold, for each permission.
func TestGrantsHoldWhatRightsHold(t *testing.T) {
	grants := append(slices.Clone(grantPool), "*.write", "pages.*", "users.*", "orders.read.own", "*.read.own")
	asked := append(slices.Clone(askedPool), "orders.read.own", "users.read", "pages.read.own")
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom(grants), 0, 5, rapid.ID)
		facts := latchward.RightsFacts{Permissions: list.Draw(t, "own"), Reserved: rapid.Bool().Draw(t, "reserved")}
		if rapid.Bool().Draw(t, "bound") {
			facts.Bound = latchward.NewRights(latchward.RightsFacts{
				Permissions: list.Draw(t, "bound by"), Reserved: rapid.Bool().Draw(t, "bound reserved"),
			})
		}
		rights := latchward.NewRights(facts)
		told := latchward.NewRights(latchward.RightsFacts{Permissions: rights.Grants(), Reserved: true})
		for _, permission := range asked {
			if told.Has(permission) != rights.Has(permission) {
				t.Fatalf("%s: rights %v, grants %v of %v", permission, rights.Has(permission), told.Has(permission), rights.Grants())
			}
		}
	})
	var nobody *latchward.Rights
	if got := nobody.Grants(); got == nil || len(got) != 0 {
		t.Errorf("nobody holds %v", got)
	}
}
