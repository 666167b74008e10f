package latchward_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/latchward/latchward"
)

func (f *fixture) apply(t *testing.T, id latchward.PolicyID, a latchward.PolicyApply) latchward.PolicyApplied {
	t.Helper()
	return must[latchward.PolicyApplied](t)(f.ApplyPolicy(f.ctx, id, a))
}

// B-13: applying shows the count first and changes what it showed, with one entry for each token and one for the policy;
// applying again changes nothing.
func TestApplyingAPolicy(t *testing.T) {
	f := newFixture(t, nil)
	start := f.clock()
	wild := f.create(t, latchward.NewToken{RateLimit: 9000, IdleTimeoutDays: ptr(0)}).Token.ID
	long := f.create(t, latchward.NewToken{ExpiresAt: start.Add(900 * day), RateLimit: 10}).Token.ID
	tame := f.create(t, latchward.NewToken{ExpiresAt: start.Add(80 * day), RateLimit: 10, Reuse: latchward.ReuseRevoke}).Token
	robot := f.create(t, latchward.NewToken{Kind: latchward.KindService, ExpiresAt: start.Add(day)}).Token.ID
	gone := f.create(t, latchward.NewToken{RateLimit: 9000}).Token.ID
	must[*latchward.Token](t)(f.RevokeToken(f.ctx, gone, latchward.Revocation{}))
	f.advance(10 * day)
	policy := f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxLifetimeDays: 90, MaxIdleTimeoutDays: 60, MaxRateLimit: 500, Reuse: latchward.ReuseDisable,
		Kinds: []latchward.Kind{latchward.KindPersonal}, RotationDays: 40,
	}})
	before := len(f.logged(t))
	preview := f.apply(t, policy.ID, latchward.PolicyApply{})
	want := map[latchward.PolicyEffect]int64{
		latchward.EffectExpirySet: 2, latchward.EffectIdleLowered: 1, latchward.EffectLimitLowered: 1,
		latchward.EffectReuseRaised: 3, latchward.EffectRotation: 4, latchward.EffectDisabled: 1,
	}
	if !preview.Preview || preview.Covered != 4 || preview.Count != 4 || !maps.Equal(preview.Effects, want) {
		t.Errorf("preview %+v, want effects %v", preview, want)
	}
	if len(f.logged(t)) != before || len(preview.Sample) != 4 {
		t.Errorf("a preview left %d entries and shows %d tokens", len(f.logged(t))-before, len(preview.Sample))
	}
	done := f.apply(t, policy.ID, latchward.PolicyApply{Count: &preview.Count, Revision: preview.Revision})
	if done.Preview || done.Count != 4 || done.Remaining != 0 {
		t.Errorf("done %+v", done)
	}
	if entries := f.logged(t)[before:]; len(entries) != 5 || entries[4].Action != latchward.ActionPolicyApply {
		t.Errorf("%d entries", len(entries))
	}
	for id, want := range map[latchward.TokenID]latchward.Token{
		wild:    {RateLimit: 500, IdleTimeoutDays: 60, ExpiresAt: start.Add(90 * day), Active: true, Reuse: latchward.ReuseDisable},
		long:    {RateLimit: 10, IdleTimeoutDays: 30, ExpiresAt: start.Add(90 * day), Active: true, Reuse: latchward.ReuseDisable},
		tame.ID: {RateLimit: 10, IdleTimeoutDays: 30, ExpiresAt: start.Add(80 * day), Active: true, Reuse: latchward.ReuseRevoke},
		robot: {
			RateLimit: 100, IdleTimeoutDays: 30, ExpiresAt: start.Add(day), Reuse: latchward.ReuseDisable,
			InactiveReason: latchward.InactivePolicy,
		},
	} {
		got := must[*latchward.Token](t)(f.Token(f.ctx, id))
		if got.RateLimit != want.RateLimit || got.IdleTimeoutDays != want.IdleTimeoutDays || got.Active != want.Active ||
			!got.ExpiresAt.Equal(want.ExpiresAt) || got.Reuse != want.Reuse || got.InactiveReason != want.InactiveReason ||
			!got.RotationDueAt.Equal(start.Add(40*day)) {
			t.Errorf("token %d: %+v, want %+v", id, got, want)
		}
	}
	_, err := f.UpdateToken(f.ctx, robot, latchward.TokenUpdate{Active: ptr(true)})
	f.refused(t, "enabling", "kind", err)
	if again := f.apply(t, policy.ID, latchward.PolicyApply{}); again.Count != 0 || again.Covered != 4 {
		t.Errorf("again: %+v", again)
	}
}

// B-13: what would be over at once gets notice; a choice that somebody has to make is told of and left alone.
func TestApplyingGivesNotice(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{IdleTimeoutDays: ptr(0)}).Token.ID
	f.advance(200 * day)
	policy := f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		MaxLifetimeDays: 90, RotationDays: 30, RotationRequired: true, MaxIdleTimeoutDays: 100,
	}})
	notice := 14
	preview := f.apply(t, policy.ID, latchward.PolicyApply{NoticeDays: &notice})
	if preview.Effects[latchward.EffectIdleAtOnce] != 1 {
		t.Errorf("the preview does not tell that a token goes idle at once: %v", preview.Effects)
	}
	_, err := f.ApplyPolicy(f.ctx, policy.ID, latchward.PolicyApply{Count: &preview.Count, Revision: preview.Revision})
	f.must(t, err, latchward.CodeConflict) // another notice
	f.apply(t, policy.ID, latchward.PolicyApply{Count: &preview.Count, Revision: preview.Revision, NoticeDays: &notice})
	want := f.clock().Add(14 * day)
	if got := must[*latchward.Token](t)(f.Token(f.ctx, id)); !got.ExpiresAt.Equal(want) || !got.RotationDueAt.Equal(want) {
		t.Errorf("expires at %v, due at %v, want %v", got.ExpiresAt, got.RotationDueAt, want)
	}
	f.advance(day)
	if again := f.apply(t, policy.ID, latchward.PolicyApply{NoticeDays: &notice}); again.Count != 0 {
		t.Errorf("a day later %d tokens would change: the notice would never end", again.Count)
	}
	choose := f.policy(t, latchward.NewPolicy{Name: "choose", Rules: latchward.LifecycleRules{ExpiryRequired: true}})
	f.must(t, f.DeletePolicy(f.ctx, policy.ID), "")
	forever := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	_, err = f.CreateToken(f.ctx, latchward.NewToken{Owner: &forever})
	f.must(t, err, latchward.CodeInvalid)
	if missing := f.apply(t, choose.ID, latchward.PolicyApply{}); missing.Count != 0 || missing.Covered != 1 {
		t.Errorf("%+v", missing)
	}
}

// B-13: a change between the preview and the application is a conflict, and nothing is changed.
func TestApplyingChangesWhatWasShown(t *testing.T) {
	f := newFixture(t, nil)
	fleet := f.fleet(t, f.owner, 3)
	policy := f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{MaxRateLimit: 50}})
	preview := f.apply(t, policy.ID, latchward.PolicyApply{})
	rules := policy.Rules
	rules.MaxRateLimit = 40
	must[*latchward.LifecyclePolicy](t)(f.UpdatePolicy(f.ctx, policy.ID, latchward.PolicyUpdate{Rules: &rules}))
	_, err := f.ApplyPolicy(f.ctx, policy.ID, latchward.PolicyApply{Count: &preview.Count, Revision: preview.Revision})
	f.must(t, err, latchward.CodeConflict)
	must[*latchward.Token](t)(f.RevokeToken(f.ctx, fleet[0].Token.ID, latchward.Revocation{}))
	_, err = f.ApplyPolicy(f.ctx, policy.ID, latchward.PolicyApply{Count: &preview.Count})
	f.must(t, err, latchward.CodeConflict)
	if got := must[*latchward.Token](t)(f.Token(f.ctx, fleet[1].Token.ID)); got.RateLimit != 100 {
		t.Errorf("limit %d", got.RateLimit)
	}
	member := f.user(t, latchward.NewUser{Name: "Ben"})
	_, err = f.ApplyPolicy(f.person(t, member.ID), policy.ID, latchward.PolicyApply{})
	f.must(t, err, latchward.CodeForbidden)
}

// changing the instance's default, or a policy, reaches no token that is there until it is applied.
func TestDefaultsReachNoTokenThatIsThere(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{}).Token.ID
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{
		IdleTimeoutDays: ptr(1), MaxIdleTimeoutDays: 1, RotationDays: 1, RotationRequired: true,
	}})
	f.advance(30 * day)
	f.must(t, f.SweepIdle(context.WithoutCancel(f.ctx)), "")
	got := must[*latchward.Token](t)(f.Token(f.ctx, id))
	if !got.Active || got.IdleTimeoutDays != 30 || !got.RotationDueAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if list := got.Warnings(f.clock().Add(-5 * day)); !slices.Equal(list, []latchward.TokenWarning{latchward.WarnIdleSoon}) {
		t.Errorf("warnings on day 25: %v", list)
	}
}
