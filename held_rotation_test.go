package latchward_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// rotatable is a fixture in which holders may rotate.
func rotatable(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	self := true
	f.policy(t, latchward.NewPolicy{Name: "p", Rules: latchward.LifecycleRules{SelfRotation: &self}})
	return f
}

func (f *fixture) rotateHeld(t *testing.T, secret latchward.Secret, r latchward.Rotation) latchward.IssuedToken {
	t.Helper()
	issued, v, err := f.RotateHeld(context.Background(), presented(secret), r)
	if err != nil || !v.Allowed() {
		t.Fatal(v.Reason, err)
	}
	return issued
}

// B-05, X-08, B-13: holders rotate their token if a policy says so, and not otherwise.
func TestRotateHeld(t *testing.T) {
	f := newFixture(t, nil)
	first := f.create(t, latchward.NewToken{AllowedEndpoints: []string{"/x"}, RateLimit: 3})
	_, v, err := f.RotateHeld(context.Background(), presented(first.Secret), latchward.Rotation{})
	f.must(t, err, latchward.CodeForbidden)
	entry := f.entries(t, latchward.AuditFilter{})[0]
	if !v.Allowed() || entry.Outcome != latchward.OutcomeDenied || entry.Action != latchward.ActionTokenRotate ||
		entry.Actor.Type != latchward.PrincipalToken || entry.Actor.ID != int64(first.Token.ID) {
		t.Errorf("%s, and on record is %+v", v.Reason, entry)
	}
	self := true
	f.policy(t, latchward.NewPolicy{Name: "p", Rules: latchward.LifecycleRules{SelfRotation: &self}})
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	second := f.rotateHeld(t, first.Secret, latchward.Rotation{Grace: time.Minute})
	if second.Token.ID != first.Token.ID || second.Token.RateLimit != 3 || !slices.Equal(second.Token.AllowedEndpoints, []string{"/x"}) {
		t.Errorf("%+v", second.Token)
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.wantReason(t, second.Secret, latchward.ReasonAllowed)
	f.wantReason(t, second.Secret, latchward.ReasonRateLimited) // the budget is the token's (B-04)
	entry = f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenRotate, Outcome: latchward.OutcomeDone})[0]
	if entry.Actor.Type != latchward.PrincipalToken || entry.Actor.Origin != presented(first.Secret).Origin {
		t.Errorf("on record is %+v", entry)
	}
	third := f.rotateHeld(t, second.Secret, latchward.Rotation{})
	f.wantReason(t, first.Secret, latchward.ReasonRotated)
	f.wantReason(t, second.Secret, latchward.ReasonRotated)
	if v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: third.Secret, Method: "GET", Path: "/x", DryRun: true}); err != nil ||
		v.Reason != latchward.ReasonRateLimited {
		t.Error(v.Reason, err)
	}
}

// bar 56: the answer of a rotation is lost: the old secret rotates again while it verifies, what did not arrive dies, and
// the old one does not live longer for it.
func TestRotateHeldAfterALostAnswer(t *testing.T) {
	f := rotatable(t)
	first := f.create(t, latchward.NewToken{})
	end := f.clock().Add(time.Hour)
	lost := f.rotateHeld(t, first.Secret, latchward.Rotation{Grace: time.Hour})
	for range 5 {
		f.advance(time.Minute)
		again := f.rotateHeld(t, first.Secret, latchward.Rotation{Grace: 24 * time.Hour})
		f.wantReason(t, lost.Secret, latchward.ReasonRotated)
		f.wantReason(t, again.Secret, latchward.ReasonAllowed)
		f.wantReason(t, first.Secret, latchward.ReasonAllowed)
		if !again.Token.Retiring.EndsAt.Equal(end) {
			t.Fatalf("the old secret ends at %s, want %s", again.Token.Retiring.EndsAt, end)
		}
		lost = again
	}
	sooner := f.rotateHeld(t, first.Secret, latchward.Rotation{Grace: time.Minute, AtFirstUse: true})
	if !sooner.Token.Retiring.EndsAt.Equal(f.clock().Add(time.Minute)) {
		t.Errorf("the old secret ends at %s", sooner.Token.Retiring.EndsAt)
	}
	f.wantReason(t, first.Secret, latchward.ReasonAllowed)
	f.wantReason(t, sooner.Secret, latchward.ReasonAllowed)
	f.wantReason(t, first.Secret, latchward.ReasonRotated)
	if _, v, err := f.RotateHeld(f.ctx, presented(first.Secret), latchward.Rotation{}); err != nil || v.Reason != latchward.ReasonRotated {
		t.Error(v.Reason, err)
	}
	f.wantReason(t, sooner.Secret, latchward.ReasonAllowed)
}

// B-04: under one request key there is one rotation on record, however often it is asked for.
func TestRotateHeldRepeated(t *testing.T) {
	f := rotatable(t)
	first := f.create(t, latchward.NewToken{})
	r := latchward.Rotation{Grace: time.Hour, RequestKey: "k"}
	lost := f.rotateHeld(t, first.Secret, r)
	again := f.rotateHeld(t, first.Secret, r)
	rotations := func() int { return len(f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenRotate})) }
	if rotations() != 1 || !again.Token.Retiring.EndsAt.Equal(lost.Token.Retiring.EndsAt) {
		t.Error("the repetition is on record, or moved the end")
	}
	f.wantReason(t, lost.Secret, latchward.ReasonRotated)
	other := f.rotateHeld(t, first.Secret, latchward.Rotation{Grace: time.Hour, RequestKey: "another"})
	if rotations() != 2 {
		t.Error("under another key it is not on record")
	}
	// Whoever has the new secret got the answer: the same key begins another rotation.
	next := f.rotateHeld(t, other.Secret, latchward.Rotation{Grace: time.Hour, RequestKey: "another"})
	f.wantReason(t, first.Secret, latchward.ReasonRotated)
	f.wantReason(t, other.Secret, latchward.ReasonAllowed)
	f.wantReason(t, next.Secret, latchward.ReasonAllowed)
}

// bar 55: of rotations by holders that begin at once, one makes the successor; the others are a conflict, or late.
func TestConcurrentRotationsByHolders(t *testing.T) {
	f := rotatable(t)
	for _, r := range []latchward.Rotation{{}, {Grace: time.Hour}, {Grace: time.Hour, RequestKey: "k"}} {
		first := f.create(t, latchward.NewToken{})
		var all sync.WaitGroup
		issued := make([]latchward.IssuedToken, 8)
		for i := range issued {
			all.Go(func() {
				var err error
				if issued[i], _, err = f.RotateHeld(f.ctx, presented(first.Secret), r); err != nil && latchward.ErrorCode(err) != latchward.CodeConflict {
					t.Error(err)
				}
			})
		}
		all.Wait()
		live := 0
		for _, i := range issued {
			if !i.Secret.IsZero() && f.reason(t, i.Secret) == latchward.ReasonAllowed {
				live++
			}
		}
		if live != 1 {
			t.Errorf("%+v: %d of the new secrets live", r, live)
		}
	}
}

func TestRotateHeldIsBounded(t *testing.T) {
	f := rotatable(t)
	held := f.create(t, latchward.NewToken{})
	for range 10 {
		held = f.rotateHeld(t, held.Secret, latchward.Rotation{})
	}
	_, _, err := f.RotateHeld(f.ctx, presented(held.Secret), latchward.Rotation{})
	f.must(t, err, latchward.CodeExhausted)
	f.wantReason(t, held.Secret, latchward.ReasonAllowed)
	f.advance(time.Minute)
	f.rotateHeld(t, held.Secret, latchward.Rotation{})
	_, _, err = f.RotateHeld(f.ctx, presented(held.Secret), latchward.Rotation{Grace: -1})
	f.must(t, err, latchward.CodeInvalid)
}

// bar 54, 56: whoever rotates, by whichever secret, there are never more than two live ones, the newest among them, and no
// secret lives longer than it was told at first.
func TestHeldRotationSequences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := rotatable(t)
		issued := f.create(t, latchward.NewToken{RateLimit: latchward.MaxRateLimit})
		secrets, ends := []latchward.Secret{issued.Secret}, map[int]time.Time{}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			r := latchward.Rotation{
				Grace:      time.Duration(rapid.IntRange(0, 3).Draw(rt, "grace")) * time.Second,
				AtFirstUse: rapid.Bool().Draw(rt, "first use"), RequestKey: rapid.SampledFrom([]string{"", "a"}).Draw(rt, "key"),
			}
			by := rapid.IntRange(max(0, len(secrets)-3), len(secrets)-1).Draw(rt, "by")
			next, v, err := f.RotateHeld(f.ctx, presented(secrets[by]), r)
			if err != nil && latchward.ErrorCode(err) != latchward.CodeExhausted {
				rt.Fatal(err)
			}
			if v.Allowed() && err == nil {
				secrets = append(secrets, next.Secret)
				if end := next.Token.Retiring.EndsAt; ends[by].IsZero() || !end.After(ends[by]) {
					ends[by] = end
				} else {
					rt.Fatalf("secret %d was to end at %s, and now at %s", by, ends[by], end)
				}
			}
			var live []int
			for i, secret := range secrets {
				v := must[latchward.Verdict](rt)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: secret, DryRun: true}))
				if v.Allowed() {
					live = append(live, i)
				}
			}
			if len(live) == 0 || len(live) > 2 || live[len(live)-1] != len(secrets)-1 {
				rt.Fatalf("live are %v of %d", live, len(secrets))
			}
			f.advance(time.Duration(rapid.IntRange(0, 10).Draw(rt, "wait")) * time.Second)
		}
	})
}
