package latchward_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 54: with grace both secrets verify until exactly its end, and without none is left when the answer comes.
func TestRotationGrace(t *testing.T) {
	f := newFixture(t, nil)
	first := f.create(t, latchward.NewToken{})
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{Grace: time.Minute}))
	if at := second.Token.RetiresAt(f.clock()); !at.Equal(f.clock().Add(time.Minute)) {
		t.Errorf("the old secret is said to end at %s", at)
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	f.advance(time.Minute - time.Millisecond)
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.advance(time.Millisecond)
	f.wantReason(t, first.Secret, latchward.ReasonRotated)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	third := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{}))
	f.wantReason(t, second.Secret, latchward.ReasonRotated)
	f.wantReason(t, third.Secret, latchward.ReasonAllowed)
}

func (f *fixture) wantReason(t fatal, secret latchward.Secret, want latchward.Reason) {
	t.Helper()
	v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: secret, Method: "GET", Path: "/x"})
	if err != nil || v.Reason != want {
		t.Fatal("reason", v.Reason, "error", err, "want", want)
	}
}

// B-04: the old secret dies when the new one is first accepted, or when its grace is over.
func TestRotationUntilFirstUse(t *testing.T) {
	f := newFixture(t, nil)
	first := f.create(t, latchward.NewToken{AllowedEndpoints: []string{"/x"}})
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{AtFirstUse: true}))
	if at := second.Token.RetiresAt(f.clock()); !at.Equal(f.clock().Add(7 * 24 * time.Hour)) {
		t.Errorf("the old secret is said to end at %s", at)
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	refused, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: second.Secret, Method: "GET", Path: "/other"})
	if err != nil || refused.Reason != latchward.ReasonEndpointNotAllowed {
		t.Fatal(refused.Reason, err)
	}
	if v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: second.Secret, Method: "GET", Path: "/x", DryRun: true}); err != nil || !v.Allowed() {
		t.Fatal(v.Reason, err)
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed) // neither a refusal nor a question is a use
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	f.wantReason(t, first.Secret, latchward.ReasonRotated)
	f.advance(8 * 24 * time.Hour)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)

	third := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, latchward.Rotation{AtFirstUse: true, Grace: time.Hour}))
	f.advance(time.Hour)
	f.wantReason(t, second.Secret, latchward.ReasonRotated)
	f.wantReason(t, third.Secret, latchward.ReasonAllowed)
}

// B-04, bar 56: repeating a rotation under its key replaces the secret that may not have arrived, and nothing else.
func TestRotationRepeated(t *testing.T) {
	f := newFixture(t, nil)
	first := f.create(t, latchward.NewToken{})
	r := latchward.Rotation{Grace: time.Hour, RequestKey: "req-1"}
	lost := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, r))
	entries := f.auditCount(t)
	f.advance(time.Minute)
	second := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, r))
	if !second.Token.Retiring.EndsAt.Equal(lost.Token.Retiring.EndsAt) || f.auditCount(t) != entries {
		t.Error("a repetition moved the end of the grace, or left another audit entry")
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.wantReason(t, lost.Secret, latchward.ReasonRotated)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	another := latchward.Rotation{Grace: time.Hour, RequestKey: "req-2"}
	third := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, first.Token.ID, another))
	f.wantReason(t, first.Secret, latchward.ReasonRotated) // never more than two
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	f.wantReason(t, third.Secret, latchward.ReasonAllowed)
}

func (f *fixture) auditCount(t fatal) int {
	t.Helper()
	return len(must[[]*latchward.AuditEntry](t)(f.AuditEntries(f.ctx, latchward.AuditFilter{})))
}

// B-04: repeating a creation under its key gives the same token a new secret.
func TestCreationRepeated(t *testing.T) {
	f := newFixture(t, nil)
	n := latchward.NewToken{Name: "shop", RequestKey: "order-17"}
	lost := f.create(t, n)
	second := f.create(t, n)
	if second.Token.ID != lost.Token.ID || second.Token.Prefix == lost.Token.Prefix {
		t.Fatalf("a repetition made token %d after %d", second.Token.ID, lost.Token.ID)
	}
	f.wantReason(t, lost.Secret, latchward.ReasonRotated)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	other := must[latchward.IssuedToken](t)(f.CreateToken(f.person(t, f.owner), n))
	if other.Token.ID == lost.Token.ID {
		t.Error("somebody else's request key is taken for one's own")
	}
	if _, err := f.RevokeToken(f.ctx, lost.Token.ID, latchward.Revocation{}); err != nil {
		t.Fatal(err)
	}
	n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	if _, err := f.CreateToken(f.ctx, n); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("repeating the creation of a revoked token: %v", err)
	}
}

func TestRotationRefusesBadInput(t *testing.T) {
	f := newFixture(t, nil)
	token := f.create(t, latchward.NewToken{})
	for field, r := range map[string]latchward.Rotation{
		"grace_seconds":   {Grace: 90*24*time.Hour + time.Second},
		"Idempotency-Key": {RequestKey: "a\nb"},
	} {
		if _, err := f.RotateToken(f.ctx, token.Token.ID, r); latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, grace := range []time.Duration{-time.Second, time.Millisecond} {
		if _, err := f.RotateToken(f.ctx, token.Token.ID, latchward.Rotation{Grace: grace}); latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("a grace of %s: %v", grace, err)
		}
	}
	f.wantReason(t, token.Secret, latchward.ReasonAllowed)
}

// bar 55: of rotations that begin at once, one makes the successor, and nobody is left with a secret of no token.
func TestConcurrentRotations(t *testing.T) {
	f := newFixture(t, nil)
	token := f.create(t, latchward.NewToken{})
	type outcome struct {
		issued latchward.IssuedToken
		err    error
	}
	for _, key := range []string{"", "same"} {
		outcomes := make([]outcome, 12)
		var all sync.WaitGroup
		for i := range outcomes {
			all.Go(func() {
				outcomes[i].issued, outcomes[i].err = f.RotateToken(f.ctx, token.Token.ID, latchward.Rotation{RequestKey: key})
			})
		}
		all.Wait()
		live := 0
		for _, o := range outcomes {
			if o.err != nil && latchward.ErrorCode(o.err) != latchward.CodeConflict {
				t.Error(o.err)
			}
			if o.err == nil && f.reason(t, o.issued.Secret) == latchward.ReasonAllowed {
				live++
			}
		}
		if live != 1 {
			t.Errorf("%d live secrets after rotations at once (key %q)", live, key)
		}
	}
}

// bar 54, 59: there are never more than two live secrets, the current one is always among them, and what the token may
// do and has used up stays.
func TestRotationSequences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixtureFor(t, nil)
		issued := f.create(t, latchward.NewToken{RateLimit: 1000, AllowedEndpoints: []string{"/x"}, ExpiresAt: f.clock().Add(1000 * time.Hour)})
		secrets := []latchward.Secret{issued.Secret}
		accepted := int64(0)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			r := latchward.Rotation{
				Grace:      time.Duration(rapid.IntRange(0, 3).Draw(rt, "grace")) * time.Second,
				AtFirstUse: rapid.Bool().Draw(rt, "first use"),
				RequestKey: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(rt, "key"),
			}
			next := must[latchward.IssuedToken](rt)(f.RotateToken(f.ctx, issued.Token.ID, r))
			secrets = append(secrets, next.Secret)
			live := 0
			for _, secret := range secrets {
				v := must[latchward.Verdict](rt)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: secret, Method: "GET", Path: "/x"}))
				switch v.Reason {
				case latchward.ReasonAllowed:
					live++
					accepted++
					if v.Limit.Remaining != 1000-accepted {
						rt.Fatalf("%d remain after %d accepted requests: a rotation touched the budget", v.Limit.Remaining, accepted)
					}
				case latchward.ReasonRotated:
				default:
					rt.Fatalf("a secret of the token is refused as %s", v.Reason)
				}
			}
			if live < 1 || live > 2 {
				rt.Fatalf("%d live secrets", live)
			}
			f.wantReason(rt, next.Secret, latchward.ReasonAllowed)
			accepted++
			f.advance(time.Duration(rapid.IntRange(0, 2).Draw(rt, "wait")) * time.Second)
		}
		token := must[*latchward.Token](rt)(f.Token(f.ctx, issued.Token.ID))
		if !token.ExpiresAt.Equal(issued.Token.ExpiresAt) || len(token.AllowedEndpoints) != 1 || token.RateLimit != 1000 {
			rt.Fatal("a rotation changed what the token may do")
		}
	})
}

// bar 57, B-04: the use of a rotated-out secret is told of, with a count. It is punished as the token says where the
// holder rotates with it; anywhere else only if the instance says so.
func TestReuse(t *testing.T) {
	rotate := func(f *fixture, secret latchward.Secret) latchward.Reason {
		_, v, err := f.RotateHeld(f.ctx, presented(secret), latchward.Rotation{})
		f.must(t, err, "")
		return v.Reason
	}
	verify := func(f *fixture, secret latchward.Secret) latchward.Reason { return f.reason(t, secret) }
	look := func(f *fixture, secret latchward.Secret) latchward.Reason { _, r := f.held(t, secret); return r }
	find := func(f *fixture, secret latchward.Secret) latchward.Reason {
		f.must(t, f.RevokeHeld(f.ctx, presented(secret)), "")
		return latchward.ReasonRotated
	}
	for _, c := range []struct {
		use    string
		with   func(f *fixture, secret latchward.Secret) latchward.Reason
		where  bool // everywhere
		policy latchward.ReusePolicy
		want   latchward.Reason
	}{
		{"verify", verify, false, "", latchward.ReasonAllowed}, {"verify", verify, false, "revoke", latchward.ReasonAllowed},
		{"verify", verify, true, "alert", latchward.ReasonAllowed}, {"verify", verify, true, "disable", latchward.ReasonDisabled},
		{"verify", verify, true, "revoke", latchward.ReasonRevoked}, {"look", look, false, "revoke", latchward.ReasonAllowed},
		{"look", look, true, "revoke", latchward.ReasonRevoked}, {"find", find, false, "revoke", latchward.ReasonAllowed},
		{"find", find, true, "revoke", latchward.ReasonRevoked}, {"rotate", rotate, false, "", latchward.ReasonAllowed},
		{"rotate", rotate, false, "alert", latchward.ReasonAllowed}, {"rotate", rotate, false, "disable", latchward.ReasonDisabled},
		{"rotate", rotate, false, "revoke", latchward.ReasonRevoked},
	} {
		t.Run(fmt.Sprintf("%s, everywhere %v, %q", c.use, c.where, c.policy), func(t *testing.T) {
			f := newFixture(t, func(o *latchward.Options) { o.ReuseAnywhere = c.where })
			old := f.create(t, latchward.NewToken{Reuse: c.policy})
			current := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, old.Token.ID, latchward.Rotation{Grace: time.Second}))
			f.wantReason(t, old.Secret, latchward.ReasonAllowed) // within its grace it is no reuse
			f.advance(time.Second)
			if got := c.with(f, old.Secret); got != latchward.ReasonRotated {
				t.Errorf("the use is answered with %s", got)
			}
			f.wantReason(t, current.Secret, c.want)
			f.wantUses(t, 1)
			entry := f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenReuse})[0]
			punished := c.want != latchward.ReasonAllowed
			if entry.TargetID != int64(old.Token.ID) || entry.After["punished"] != punished ||
				(c.use != "verify" && entry.Actor.Origin != presented(old.Secret).Origin) {
				t.Errorf("the entry tells %+v from %+v", entry.After, entry.Actor.Origin)
			}
		})
	}
}

// bar 57: however often a secret is used after its end, there is one entry in ten minutes, with the count; a use that is
// to be punished does not hide behind others.
func TestReuseIsCounted(t *testing.T) {
	f := newFixture(t, nil)
	old := f.create(t, latchward.NewToken{Reuse: latchward.ReuseDisable})
	current := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, old.Token.ID, latchward.Rotation{}))
	for range 10_000 {
		f.wantReason(t, old.Secret, latchward.ReasonRotated)
	}
	f.wantUses(t, 1)
	f.advance(10*time.Minute - time.Millisecond)
	f.wantReason(t, old.Secret, latchward.ReasonRotated)
	f.wantUses(t, 1)
	f.advance(time.Millisecond)
	f.wantReason(t, old.Secret, latchward.ReasonRotated)
	f.wantUses(t, 10_001, 1)
	f.wantReason(t, current.Secret, latchward.ReasonAllowed)
	for range 3 {
		if _, v, err := f.RotateHeld(f.ctx, presented(old.Secret), latchward.Rotation{}); err != nil || v.Reason != latchward.ReasonRotated {
			t.Error(v.Reason, err)
		}
	}
	f.wantReason(t, current.Secret, latchward.ReasonDisabled)
	f.wantUses(t, 1, 10_001, 1)
}

// B-13: a policy says the least that reuse brings about.
func TestReuseUnderAPolicy(t *testing.T) {
	f := newFixture(t, nil)
	f.policy(t, latchward.NewPolicy{Name: "p", Rules: latchward.LifecycleRules{Reuse: latchward.ReuseRevoke}})
	old := f.create(t, latchward.NewToken{})
	current := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, old.Token.ID, latchward.Rotation{}))
	_, _, err := f.RotateHeld(f.ctx, presented(old.Secret), latchward.Rotation{})
	f.must(t, err, "")
	f.wantReason(t, current.Secret, latchward.ReasonRevoked)
}

// wantUses checks the counts of the entries about reuse, newest first.
func (f *fixture) wantUses(t *testing.T, want ...int64) {
	t.Helper()
	entries := must[[]*latchward.AuditEntry](t)(f.AuditEntries(f.ctx, latchward.AuditFilter{Action: latchward.ActionTokenReuse}))
	var got []int64
	for _, e := range entries {
		got = append(got, int64(e.After["uses"].(float64)))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("entries tell of %v uses, want %v", got, want)
	}
}

// bar 58: while a secret is rotated with grace again and again, whoever takes up each new one before the next rotation
// is never refused, and neither is the one before until then.
func TestNobodyIsRefusedDuringRotations(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{RateLimit: latchward.MaxRateLimit})
	var mu sync.RWMutex // a holder takes up the new secret between two requests
	held := issued.Secret
	stop := make(chan struct{})
	var holders sync.WaitGroup
	for range 8 {
		holders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: held})
				mu.RUnlock()
				if err != nil || !v.Allowed() {
					t.Errorf("a holder of a live secret is refused: %s, %v", v.Reason, err)
					return
				}
			}
		})
	}
	for range latchtest.Scale(10_000, 300) {
		f.advance(time.Second) // or the holders reach the limit
		next, err := f.RotateToken(f.ctx, issued.Token.ID, latchward.Rotation{Grace: 30 * time.Second})
		if err != nil {
			t.Error(err)
			break
		}
		mu.Lock()
		before := held
		held = next.Secret
		mu.Unlock()
		f.wantReason(t, before, latchward.ReasonAllowed)
		f.wantReason(t, next.Secret, latchward.ReasonAllowed)
	}
	close(stop)
	holders.Wait()
}
