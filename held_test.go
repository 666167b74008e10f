package latchward_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

func (f *fixture) held(t *testing.T, secret latchward.Secret) (latchward.HeldToken, latchward.Reason) {
	t.Helper()
	held, v, err := f.HeldToken(context.Background(), presented(secret))
	if err != nil {
		t.Fatal(err)
	}
	return held, v.Reason
}

func presented(secret latchward.Secret) latchward.Presented {
	return latchward.Presented{Secret: secret, Origin: latchward.Origin{
		Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "scanner/1", RequestID: "r-1",
	}}
}

// B-05: a token tells whoever holds it what it is and may do, and asking takes nothing and is no use.
func TestHeldToken(t *testing.T) {
	f := newFixture(t, nil)
	idle := 30
	issued := f.create(t, latchward.NewToken{
		Name: "Till", Kind: latchward.KindService, Permissions: []string{"orders.read"}, RateLimit: 5, IdleTimeoutDays: &idle,
		AllowedEndpoints: []string{"/orders"}, AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		ExpiresAt: f.clock().Add(100 * 24 * time.Hour),
	})
	use := latchward.VerifyRequest{
		Secret: issued.Secret, Method: "GET", Path: "/orders", Address: netip.MustParseAddr("192.0.2.7"),
	}
	f.advance(time.Hour)
	must[latchward.Verdict](t)(f.Verify(f.ctx, use))
	entries := f.auditCount(t)
	for range 20 {
		held, reason := f.held(t, issued.Secret)
		if reason != latchward.ReasonAllowed || held.Limits[0].Remaining != 4 || held.Limits[0].Limit != 5 {
			t.Fatalf("%s, limits %+v", reason, held.Limits)
		}
	}
	held, _ := f.held(t, issued.Secret)
	if held.ID != issued.Token.ID || held.Name != "Till" || held.Kind != latchward.KindService ||
		held.Owner != (latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}) || held.Prefix != issued.Token.Prefix {
		t.Errorf("it tells of itself %+v", held)
	}
	if !held.ExpiresAt.Equal(issued.Token.ExpiresAt) || !held.IdleAt.Equal(f.clock().AddDate(0, 0, 30)) ||
		!held.LastUsedAt.Equal(f.clock()) {
		t.Errorf("expires %s, idle %s, used %s", held.ExpiresAt, held.IdleAt, held.LastUsedAt)
	}
	if !slices.Equal(held.AllowedEndpoints, []string{"/orders"}) || len(held.AllowedNetworks) != 1 || len(held.Warnings) != 0 {
		t.Errorf("it tells of itself %+v", held)
	}
	f.advance(time.Hour)
	later, _ := f.held(t, issued.Secret)
	if usage := must[latchward.TokenUsage](t)(f.TokenUsage(f.ctx, held.ID, 1)); len(usage.Recent) != 0 ||
		!later.LastUsedAt.Equal(held.LastUsedAt) || f.auditCount(t) != entries {
		t.Error("asking was recorded, or counted as use")
	}
	if v := must[latchward.Verdict](t)(f.Verify(f.ctx, use)); !v.Allowed() || v.Limit.Remaining != 4 {
		t.Errorf("%s with %+v after asking", v.Reason, v.Limit)
	}
	for range 5 {
		must[latchward.Verdict](t)(f.Verify(f.ctx, use))
	}
	if held, reason := f.held(t, issued.Secret); reason != latchward.ReasonAllowed || held.Limits[0].Remaining != 0 {
		t.Errorf("beyond its limit: %s, %+v", reason, held.Limits)
	}
}

// B-05, C-09: what a token says that it holds is what it holds, bound by its owner.
func TestHeldRights(t *testing.T) {
	f := newFixture(t, nil)
	role := must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "clerk", Permissions: []string{"orders.*"}}))
	roles := []string{role.Name}
	must[*latchward.User](t)(f.UpdateUser(f.ctx, f.owner, latchward.UserUpdate{Roles: &roles}))
	narrowed := f.create(t, latchward.NewToken{Permissions: []string{"orders.read", "stock.read"}})
	whole := f.create(t, latchward.NewToken{})
	held, _ := f.held(t, narrowed.Secret)
	if !held.Rights.Has("orders.read") || held.Rights.Has("stock.read") || held.Rights.HasRole("clerk") {
		t.Errorf("a narrowed token holds %+v", held.Rights.Facts())
	}
	if held, _ = f.held(t, whole.Secret); !held.Rights.Has("orders.erase") || !held.Rights.HasRole("clerk") {
		t.Errorf("a whole token holds %+v", held.Rights.Facts())
	}
	administrator := f.create(t, latchward.NewToken{Owner: f.administrator(t)})
	if held, _ = f.held(t, administrator.Secret); !slices.Equal(held.Rights.Facts().Permissions, []string{"*"}) {
		t.Errorf("an administrator's token tells that it holds %v", held.Rights.Facts().Permissions)
	}
	none := []string{}
	must[*latchward.User](t)(f.UpdateUser(f.ctx, f.owner, latchward.UserUpdate{Roles: &none}))
	if held, _ = f.held(t, whole.Secret); held.Rights.Has("orders.erase") {
		t.Error("a token tells of rights that its owner has lost")
	}
}

func (f *fixture) administrator(t *testing.T) *latchward.Owner {
	t.Helper()
	u := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "root", Administrator: true}))
	return &latchward.Owner{Type: latchward.OwnerUser, ID: int64(u.ID)}
}

// B-05: whoever could not use the secret from there learns nothing.
func TestHeldTokenRefuses(t *testing.T) {
	f := newFixture(t, nil)
	inactive := false
	for want, spoil := range map[latchward.Reason]func(issued latchward.IssuedToken) latchward.Secret{
		latchward.ReasonMissing:   func(latchward.IssuedToken) latchward.Secret { return latchward.Secret{} },
		latchward.ReasonMalformed: func(latchward.IssuedToken) latchward.Secret { return latchward.SecretFromText("a.b.c") },
		latchward.ReasonNotFound: func(issued latchward.IssuedToken) latchward.Secret {
			f.must(t, f.DeleteToken(f.ctx, issued.Token.ID), "")
			return issued.Secret
		},
		latchward.ReasonRevoked: func(issued latchward.IssuedToken) latchward.Secret {
			must[*latchward.Token](t)(f.RevokeToken(f.ctx, issued.Token.ID, latchward.Revocation{}))
			return issued.Secret
		},
		latchward.ReasonDisabled: func(issued latchward.IssuedToken) latchward.Secret {
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{Active: &inactive}))
			return issued.Secret
		},
		latchward.ReasonExpired: func(issued latchward.IssuedToken) latchward.Secret {
			at := f.clock()
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{ExpiresAt: &at}))
			return issued.Secret
		},
		latchward.ReasonRotated: func(issued latchward.IssuedToken) latchward.Secret {
			must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{}))
			return issued.Secret
		},
		latchward.ReasonAddressNotAllowed: func(issued latchward.IssuedToken) latchward.Secret {
			elsewhere := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{AllowedNetworks: &elsewhere}))
			return issued.Secret
		},
	} {
		secret := spoil(f.create(t, latchward.NewToken{}))
		if held, got := f.held(t, secret); got != want || held.ID != 0 {
			t.Errorf("%s and token %d, want %s", got, held.ID, want)
		}
		if usage, v, err := f.HeldUsage(f.ctx, presented(secret), 7); err != nil || v.Reason != want || usage.Recent != nil {
			t.Errorf("usage: %s, %v, want %s", v.Reason, err, want)
		}
	}
	f.wantUses(t, 1) // asking with a rotated-out secret is a use of it
}

// B-05, B-04: both secrets see when the older one ends, each what it means for itself.
func TestHeldTokenWarns(t *testing.T) {
	f := newFixture(t, nil)
	idle := 7
	first := f.create(t, latchward.NewToken{ExpiresAt: f.clock().Add(7*24*time.Hour + time.Second), IdleTimeoutDays: &idle})
	if held, _ := f.held(t, first.Secret); len(held.Warnings) != 1 || !strings.Contains(held.Warnings[0], "goes idle") {
		t.Errorf("%q", held.Warnings)
	}
	f.advance(time.Second)
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{Grace: time.Hour}))
	end := f.clock().Add(time.Hour)
	old, _ := f.held(t, first.Secret)
	new, _ := f.held(t, second.Secret)
	if !old.EndsAt.Equal(end) || !new.EndsAt.IsZero() || !new.Retiring.EndsAt.Equal(end) || old.Prefix == new.Prefix ||
		!new.Retiring.KeyID.IsZero() {
		t.Errorf("the old secret tells %+v, the new one %+v", old, new)
	}
	if len(old.Warnings) != 3 || len(new.Warnings) != 2 || !strings.Contains(old.Warnings[0], "rotated out") {
		t.Errorf("the old secret warns %q, the new one %q", old.Warnings, new.Warnings)
	}
	f.advance(time.Hour)
	if new, _ = f.held(t, second.Secret); !new.Retiring.EndsAt.IsZero() {
		t.Errorf("it tells of a secret that ended: %+v", new.Retiring)
	}
}

func TestHeldUsage(t *testing.T) {
	f := newFixture(t, nil)
	mine, other := f.create(t, latchward.NewToken{}), f.create(t, latchward.NewToken{})
	f.Record(f.event(mine.Token.ID, "/mine", 200))
	f.Record(f.event(other.Token.ID, "/other", 200))
	usage, v, err := f.HeldUsage(context.Background(), presented(mine.Secret), 7)
	if err != nil || !v.Allowed() || len(usage.Recent) != 1 || usage.Recent[0].Endpoint != "/mine" {
		t.Errorf("%+v, %s, %v", usage.Recent, v.Reason, err)
	}
	if _, _, err := f.HeldUsage(f.ctx, presented(mine.Secret), 366); latchward.ErrorField(err) != "days" {
		t.Error(err)
	}
}

// B-05, bar 51: whoever holds a live secret ends its token, whatever state the token is in; nothing else does.
func TestRevokeHeld(t *testing.T) {
	inactive := false
	for name, c := range map[string]struct {
		prepare func(f *fixture, issued latchward.IssuedToken) latchward.Secret
		want    bool
	}{
		"active": {func(_ *fixture, issued latchward.IssuedToken) latchward.Secret { return issued.Secret }, true},
		"disabled": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{Active: &inactive}))
			return issued.Secret
		}, true},
		"expired": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			at := f.clock()
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{ExpiresAt: &at}))
			return issued.Secret
		}, true},
		"idle": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			f.advance(31 * 24 * time.Hour)
			return issued.Secret
		}, true},
		"of a disabled owner, from a strange network": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			elsewhere := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{AllowedNetworks: &elsewhere}))
			must[*latchward.User](t)(f.UpdateUser(f.ctx, f.owner, latchward.UserUpdate{Active: &inactive}))
			return issued.Secret
		}, true},
		"retiring": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: time.Second}))
			return issued.Secret
		}, true},
		"rotated out": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: time.Second}))
			f.advance(time.Second)
			return issued.Secret
		}, false},
		"deleted": {func(f *fixture, issued latchward.IssuedToken) latchward.Secret {
			f.must(t, f.DeleteToken(f.ctx, issued.Token.ID), "")
			return issued.Secret
		}, false},
		"mistyped": {func(_ *fixture, issued latchward.IssuedToken) latchward.Secret {
			text := []byte(issued.Secret.Expose())
			slices.Reverse(text[20:])
			return latchward.SecretFromText(string(text))
		}, false},
		"foreign": {func(*fixture, latchward.IssuedToken) latchward.Secret { return latchward.SecretFromText("ghp_abc") }, false},
		"a JWT":   {func(*fixture, latchward.IssuedToken) latchward.Secret { return latchward.SecretFromText("a.b.c") }, false},
		"empty":   {func(*fixture, latchward.IssuedToken) latchward.Secret { return latchward.Secret{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil)
			issued := f.create(t, latchward.NewToken{})
			f.reason(t, issued.Secret) // it is remembered
			secret := c.prepare(f, issued)
			for range 2 { // the second changes nothing
				f.must(t, f.RevokeHeld(context.Background(), presented(secret)), "")
			}
			f.wantRevoked(t, issued, c.want)
		})
	}
}

// wantRevoked checks that a token was revoked by its holder, once, or not at all.
func (f *fixture) wantRevoked(t *testing.T, issued latchward.IssuedToken, want bool) {
	t.Helper()
	entries := f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenRevoke})
	if !want {
		if len(entries) != 0 || f.Stats().TokensRevoked != 0 {
			t.Errorf("%d entries about a revocation", len(entries))
		}
		return
	}
	f.wantReason(t, issued.Secret, latchward.ReasonRevoked)
	from := presented(issued.Secret).Origin
	if len(entries) != 1 || entries[0].Actor.String() != fmt.Sprintf("token:%d", issued.Token.ID) ||
		entries[0].Actor.Origin != from || entries[0].TargetID != int64(issued.Token.ID) || f.Stats().TokensRevoked != 1 {
		t.Errorf("%d entries, first %+v", len(entries), entries[0])
	}
}

// workload counts what a store is asked to do.
type workload struct {
	latchward.Store
	reads, writes int
	down          bool
}

func (w *workload) TokenFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	w.reads++
	return w.Store.TokenFacts(ctx, id)
}

func (w *workload) Tx(ctx context.Context, f func(latchward.Tx) error) (latchward.Commit, error) {
	w.writes++
	if w.down {
		return latchward.Commit{}, latchward.Errorf(latchward.CodeUnavailable, "down")
	}
	return w.Store.Tx(ctx, f)
}

func (w *workload) Ping(ctx context.Context) error {
	w.writes++
	if w.down {
		return latchward.Errorf(latchward.CodeUnavailable, "down")
	}
	return w.Store.Ping(ctx)
}

// B-05, bar 14: whatever is presented, the work is one look-up and one write, and a store that is down shows the same.
func TestRevokeHeldIsNoOracle(t *testing.T) {
	w := &workload{Store: memory.New()}
	f := newFixture(t, func(o *latchward.Options) { o.Store = w })
	live, dead := f.create(t, latchward.NewToken{}), f.create(t, latchward.NewToken{})
	must[*latchward.Token](t)(f.RevokeToken(f.ctx, dead.Token.ID, latchward.Revocation{}))
	gone := f.create(t, latchward.NewToken{})
	f.must(t, f.DeleteToken(f.ctx, gone.Token.ID), "")
	for _, down := range []bool{true, false} {
		for name, secret := range map[string]latchward.Secret{
			"live": live.Secret, "revoked": dead.Secret, "unknown": gone.Secret,
			"forged": latchward.SecretFromText(live.Secret.Expose()[:20] + gone.Secret.Expose()[20:]),
			"JWT":    latchward.SecretFromText("eyJh.eyJz.c2ln"), "empty": {}, "foreign": latchward.SecretFromText("sk-123"),
		} {
			w.reads, w.writes, w.down = 0, 0, down
			err := f.RevokeHeld(context.Background(), presented(secret))
			if want := map[bool]latchward.Code{true: latchward.CodeUnavailable}[down]; latchward.ErrorCode(err) != want {
				t.Errorf("%s: %v, want code %q", name, err, want)
			}
			if w.reads != 1 || w.writes != 1 {
				t.Errorf("%s: %d reads and %d writes", name, w.reads, w.writes)
			}
		}
	}
}
