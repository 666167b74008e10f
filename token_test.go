package latchward_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// as returns a context in which the user acts.
func as(id latchward.UserID, admin bool) context.Context {
	return latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(id), Name: "tester", Administrator: admin,
	})
}

func TestCreateTokenDefaults(t *testing.T) { // S2-06, X-06
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{Name: "  "})
	token := issued.Token
	if token.Name != "Token 2026-11-22 10:00" || token.Description != "" || !token.Active ||
		token.RateLimit != 100 || len(token.AllowedEndpoints) != 0 || !token.ExpiresAt.IsZero() ||
		token.Kind != latchward.KindPersonal || token.IdleTimeoutDays != 30 || token.Status(f.clock()) != latchward.StatusActive {
		t.Errorf("defaults: %+v", token)
	}
	if !strings.HasPrefix(issued.Secret.Expose(), token.Prefix) || len(token.Prefix) != 11 {
		t.Errorf("display part %q", token.Prefix)
	}
}

func TestCreateTokenInPastWarns(t *testing.T) { // S2-08
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{ExpiresAt: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)})
	if issued.Token.Status(f.clock()) != latchward.StatusExpired || len(issued.Warnings) != 1 {
		t.Errorf("status %s, warnings %v", issued.Token.Status(f.clock()), issued.Warnings)
	}
}

func TestCreateTokenRefusesBadInput(t *testing.T) { // S2-08
	f := newFixture(t, nil)
	days := -1
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: 999}
	for field, n := range map[string]latchward.NewToken{
		"name":                 {Name: strings.Repeat("x", 256)},
		"description":          {Description: "a\x00b"},
		"kind":                 {Kind: "robot"},
		"rate_limit":           {RateLimit: -5},
		"allowed_endpoints[0]": {AllowedEndpoints: []string{"products"}},
		"permissions[0]":       {Permissions: []string{"*.*"}},
		"idle_timeout_days":    {IdleTimeoutDays: &days},
		"tags[0]":              {Tags: []string{""}},
		"metadata":             {Metadata: map[string]any{"x": strings.Repeat("y", 9000)}},
		"expires_at":           {ExpiresAt: time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"not_before":           {NotBefore: f.clock().Add(2 * time.Hour), ExpiresAt: f.clock().Add(time.Hour)},
		"owner":                {Owner: &owner},
	} {
		if n.Owner == nil {
			n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
		}
		_, err := f.CreateToken(f.ctx, n)
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	page, err := f.Tokens(f.ctx, latchward.TokenFilter{})
	if err != nil || len(page.Tokens) != 0 {
		t.Errorf("%d tokens after refused creations, %v", len(page.Tokens), err)
	}
}

// bar 3: a source of randomness that fails gives no token at all.
func TestCreateTokenWithoutRandomness(t *testing.T) {
	random := &drained{}
	f := newFixture(t, func(o *latchward.Options) { o.Random = random })
	random.empty = true
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	_, err := f.CreateToken(f.ctx, latchward.NewToken{Owner: &owner})
	if latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("error %v", err)
	}
	if page, err := f.Tokens(f.ctx, latchward.TokenFilter{}); err != nil || len(page.Tokens) != 0 {
		t.Errorf("%d tokens, %v", len(page.Tokens), err)
	}
	if s := f.Stats(); s.TokensFailed != 1 || s.TokensCreated != 0 {
		t.Errorf("stats: %d failed, %d created", s.TokensFailed, s.TokensCreated)
	}
}

// drained is a source of randomness until it is empty.
type drained struct{ empty bool }

func (d *drained) Read(into []byte) (int, error) {
	if d.empty {
		return 0, errors.New("no entropy")
	}
	return rand.Read(into)
}

// The permission rule, in one table (X-08, X-09, bar 103).
func TestWhoMayManageTokens(t *testing.T) {
	f := newFixture(t, nil)
	bob, err := f.CreateUser(f.ctx, latchward.NewUser{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	active := true
	operations := map[string]func(ctx context.Context, id latchward.TokenID) error{
		"get": func(ctx context.Context, id latchward.TokenID) error { _, err := f.Token(ctx, id); return err },
		"update": func(ctx context.Context, id latchward.TokenID) error {
			_, err := f.UpdateToken(ctx, id, latchward.TokenUpdate{Active: &active})
			return err
		},
		"rotate": func(ctx context.Context, id latchward.TokenID) error {
			_, err := f.RotateToken(ctx, id, latchward.Rotation{})
			return err
		},
		"revoke": func(ctx context.Context, id latchward.TokenID) error {
			_, err := f.RevokeToken(ctx, id, latchward.Revocation{})
			return err
		},
		"delete": func(ctx context.Context, id latchward.TokenID) error { return f.DeleteToken(ctx, id) },
		"usage":  func(ctx context.Context, id latchward.TokenID) error { _, err := f.TokenUsage(ctx, id, 7); return err },
	}
	token := latchward.WithPrincipal(context.Background(), latchward.Principal{Type: latchward.PrincipalToken, ID: 1})
	actors := map[string]struct {
		ctx  context.Context
		want latchward.Code
	}{
		"owner":         {as(f.owner, false), ""},
		"administrator": {as(bob.ID, true), ""},
		"local":         {f.ctx, ""},
		"somebody else": {as(bob.ID, false), latchward.CodeNotFound},
		"an API token":  {token, latchward.CodeForbidden},
		"nobody":        {context.Background(), latchward.CodeUnauthenticated},
	}
	for name, operation := range operations {
		for who, a := range actors {
			id := f.create(t, latchward.NewToken{}).Token.ID
			err := operation(a.ctx, id)
			if latchward.ErrorCode(err) != a.want {
				t.Errorf("%s by %s: %v, want code %q", name, who, err, a.want)
			}
			if a.want != latchward.CodeNotFound {
				continue
			}
			// Somebody else's token looks like one that never was.
			if missing := operation(a.ctx, 1<<40); missing.Error() != err.Error() {
				t.Errorf("%s: %q for somebody else's, %q for none", name, err, missing)
			}
		}
	}
}

func TestOrdinaryUsersCannotGiveMoreThanTheirOwn(t *testing.T) { // C-09
	f := newFixture(t, nil)
	bob, err := f.CreateUser(f.ctx, latchward.NewUser{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	other := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	for field, n := range map[string]latchward.NewToken{
		"owner":          {Owner: &other},
		"permissions[0]": {Kind: latchward.KindService, Permissions: []string{latchward.PermissionVerify}},
	} {
		_, err := f.CreateToken(as(bob.ID, false), n)
		if latchward.ErrorCode(err) != latchward.CodeForbidden || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	service := f.create(t, latchward.NewToken{Kind: latchward.KindService, Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(bob.ID)}})
	more := []string{latchward.PermissionVerify}
	if _, err := f.UpdateToken(as(bob.ID, false), service.Token.ID, latchward.TokenUpdate{Permissions: &more}); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("an owner who is no administrator gave a service token rights: %v", err)
	}
}

func TestUpdateIsPartial(t *testing.T) { // S2-23
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{
		Name: "a", Description: "b", RateLimit: 5, AllowedEndpoints: []string{"/x"}, ExpiresAt: f.clock().Add(time.Hour),
	})
	f.advance(time.Minute)
	name := "c"
	updated, err := f.UpdateToken(f.ctx, issued.Token.ID, latchward.TokenUpdate{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	got := updated.Token
	if got.Name != "c" || got.Description != "b" || got.RateLimit != 5 || len(got.AllowedEndpoints) != 1 ||
		got.ExpiresAt.IsZero() || !got.UpdatedAt.Equal(f.clock()) || !updated.Secret.IsZero() {
		t.Errorf("after one field: %+v", got)
	}
	zero, none, never := int64(0), []string(nil), time.Time{}
	empty := ""
	updated, err = f.UpdateToken(f.ctx, got.ID, latchward.TokenUpdate{
		Name: &empty, Description: &empty, RateLimit: &zero, AllowedEndpoints: &none, ExpiresAt: &never,
	})
	if err != nil {
		t.Fatal(err)
	}
	got = updated.Token
	if got.Name != "Token 2026-11-22 10:01" || got.Description != "" || got.RateLimit != 100 ||
		len(got.AllowedEndpoints) != 0 || !got.ExpiresAt.IsZero() {
		t.Errorf("after clearing: %+v", got)
	}
}

func TestRevokedIsForGood(t *testing.T) { // bar 62
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{}).Token.ID
	revoked, err := f.RevokeToken(f.ctx, id, latchward.Revocation{Note: "lost"})
	if err != nil || revoked.RevokeNote != "lost" || revoked.Status(f.clock()) != latchward.StatusRevoked {
		t.Fatalf("revoke: %+v, %v", revoked, err)
	}
	again, err := f.RevokeToken(f.ctx, id, latchward.Revocation{Note: "other"})
	if err != nil || again.RevokeNote != "lost" {
		t.Errorf("revoking again: reason %q, %v", again.RevokeNote, err)
	}
	active := true
	if _, err := f.UpdateToken(f.ctx, id, latchward.TokenUpdate{Active: &active}); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("enabling a revoked token: %v", err)
	}
	if _, err := f.RotateToken(f.ctx, id, latchward.Rotation{}); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("rotating a revoked token: %v", err)
	}
}

// C-05: every change leaves one entry that tells what changed and no secret.
func TestAuditTrail(t *testing.T) {
	f := newFixture(t, nil)
	admin := as(f.owner, true)
	issued, err := f.CreateToken(admin, latchward.NewToken{Name: "audited"})
	if err != nil {
		t.Fatal(err)
	}
	id := issued.Token.ID
	off, limit := false, int64(7)
	steps := []func() error{
		func() error { _, err := f.UpdateToken(admin, id, latchward.TokenUpdate{RateLimit: &limit}); return err },
		func() error { _, err := f.UpdateToken(admin, id, latchward.TokenUpdate{Active: &off}); return err },
		func() error {
			on := true
			_, err := f.UpdateToken(admin, id, latchward.TokenUpdate{Active: &on})
			return err
		},
		func() error { _, err := f.RotateToken(admin, id, latchward.Rotation{}); return err },
		func() error { f.advance(31 * 24 * time.Hour); return f.SweepIdle(admin) },
		func() error { _, err := f.RevokeToken(admin, id, latchward.Revocation{Note: "done"}); return err },
		func() error { return f.DeleteToken(admin, id) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	entries, err := f.AuditEntries(admin, latchward.AuditFilter{TargetType: "token", TargetID: int64(id)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		latchward.ActionTokenDelete, latchward.ActionTokenRevoke, latchward.ActionTokenIdle, latchward.ActionTokenRotate,
		latchward.ActionTokenEnable, latchward.ActionTokenDisable, latchward.ActionTokenUpdate, latchward.ActionTokenCreate,
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries, want %d", len(entries), len(want))
	}
	for i, e := range entries {
		if e.Action != want[i] || e.TargetName != "audited" || e.At.IsZero() || e.Actor.Type == "" {
			t.Errorf("entry %d: %+v, want %s", i, e, want[i])
		}
	}
	update := entries[6]
	if len(update.Before) != 1 || len(update.After) != 1 || update.After["rate_limit"] != int64(7) && update.After["rate_limit"] != float64(7) {
		t.Errorf("update tells %v -> %v", update.Before, update.After)
	}
	if entries[2].Actor.Type != latchward.PrincipalSystem {
		t.Errorf("idle by %s", entries[2].Actor)
	}
}

func TestCreationsAreThrottled(t *testing.T) { // bar 110
	f := newFixture(t, func(o *latchward.Options) { o.CreationLimit = 3 })
	for range 3 {
		if _, err := f.CreateToken(as(f.owner, false), latchward.NewToken{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.CreateToken(as(f.owner, false), latchward.NewToken{}); latchward.ErrorCode(err) != latchward.CodeExhausted {
		t.Errorf("the fourth within a minute: %v", err)
	}
	f.advance(time.Minute)
	if _, err := f.CreateToken(as(f.owner, false), latchward.NewToken{}); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestListPagesThroughEverything(t *testing.T) { // S1-03, S3-20
	f := newFixture(t, nil)
	for range 55 {
		f.create(t, latchward.NewToken{})
	}
	for _, sort := range latchward.TokenSorts() {
		seen := map[latchward.TokenID]bool{}
		filter := latchward.TokenFilter{Sort: sort, Desc: true, Limit: 10}
		for {
			page, err := f.Tokens(f.ctx, filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range page.Tokens {
				seen[token.ID] = true
			}
			if page.Next == nil {
				break
			}
			filter.After = page.Next
		}
		if len(seen) != 55 {
			t.Errorf("by %s: %d of 55 tokens", sort, len(seen))
		}
	}
	for _, limit := range []int{-1, 1001, 1 << 40} {
		if _, err := f.Tokens(f.ctx, latchward.TokenFilter{Limit: limit}); latchward.ErrorField(err) != "limit" {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

// bar 135
func TestKeyRingMustFitTheStore(t *testing.T) {
	f := newFixture(t, nil)
	f.create(t, latchward.NewToken{})
	stranger, err := latchward.GenerateKeyRing(latchtest.Seeded(9), f.clock())
	if err != nil {
		t.Fatal(err)
	}
	_, err = latchward.New(f.ctx, latchward.Options{Store: f.store.Store, Keys: stranger})
	if latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("another key under the same version: %v", err)
	}
	rotated, err := f.Keys().Rotate(latchtest.Seeded(8), f.clock())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := latchward.New(f.ctx, latchward.Options{Store: f.store.Store, Keys: rotated}); err != nil {
		t.Errorf("a rotated ring: %v", err)
	}
	_, err = latchward.New(f.ctx, latchward.Options{Store: f.store.Store, Keys: f.Keys()})
	if latchward.ErrorCode(err) != latchward.CodeConflict || !strings.Contains(err.Error(), "v2") {
		t.Errorf("a ring without the newest key: %v", err)
	}
}

func TestKeyRotationWhileRunning(t *testing.T) { // B-02
	f := newFixture(t, nil)
	old := f.create(t, latchward.NewToken{})
	rotated, err := f.Keys().Rotate(latchtest.Seeded(8), f.clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.UseKeys(f.ctx, rotated); err != nil {
		t.Fatal(err)
	}
	fresh := f.create(t, latchward.NewToken{})
	if f.reason(t, old.Secret) != latchward.ReasonAllowed || f.reason(t, fresh.Secret) != latchward.ReasonAllowed {
		t.Error("a rotation refused somebody")
	}
	status, err := f.KeyStatus(f.ctx)
	if err != nil || len(status) != 2 || status[0].Tokens != 1 || status[1].Tokens != 1 || !status[1].Current {
		t.Errorf("status %+v, %v", status, err)
	}
	dropped, err := rotated.Drop(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.UseKeys(f.ctx, dropped); err != nil {
		t.Fatal(err)
	}
	if f.reason(t, old.Secret) != latchward.ReasonMalformed || f.reason(t, fresh.Secret) != latchward.ReasonAllowed {
		t.Error("dropping a key must refuse exactly the secrets under it")
	}
	if err := f.UseKeys(as(f.owner, false), rotated); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("keys replaced by an ordinary user: %v", err)
	}
}
