package latchward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Bounds of the notice that tokens get when a policy is applied to them, in days.
const (
	DefaultNoticeDays = 7
	MaxNoticeDays     = 90
)

// PolicyEffect is what applying a policy does to a token.
type PolicyEffect string

// The effects.
const (
	EffectExpirySet     PolicyEffect = "expiry_set"           // it expires, or expires earlier
	EffectExpiryMissing PolicyEffect = "expiry_missing"       // somebody must choose its expiry: it stays as it is
	EffectIdleLowered   PolicyEffect = "idle_timeout_lowered" // it goes idle earlier
	EffectIdleAtOnce    PolicyEffect = "idle_at_once"         // and has been unused for longer than that
	EffectLimitLowered  PolicyEffect = "rate_limit_lowered"
	EffectReuseRaised   PolicyEffect = "reuse_raised"
	EffectRotation      PolicyEffect = "rotation_scheduled" // its secret should be replaced, or earlier
	EffectDisabled      PolicyEffect = "disabled"           // its kind is not allowed
)

// PolicyEffects lists every effect.
func PolicyEffects() []PolicyEffect {
	return []PolicyEffect{
		EffectExpirySet, EffectExpiryMissing, EffectIdleLowered, EffectIdleAtOnce, EffectLimitLowered, EffectReuseRaised,
		EffectRotation, EffectDisabled,
	}
}

// PolicyApply asks to bring the tokens that a policy covers into line with it.
type PolicyApply struct {
	// NoticeDays is how long tokens still live that would be expired, or overdue, at once: 0 to MaxNoticeDays; nil =
	// DefaultNoticeDays.
	NoticeDays *int
	// Count is how many tokens a preview said would change. There must be as many still, else nothing changes. nil
	// previews: it changes nothing and tells the count.
	Count    *int64
	Revision string // of the preview: the very same changes must be due; "" = any, as long as they are as many
}

// PolicyApplied tells what became of the tokens that a policy covers, or would.
type PolicyApplied struct {
	Preview   bool
	Covered   int64                  // tokens that the policy covers and that are not revoked
	Count     int64                  // tokens that were changed, or would be
	Remaining int64                  // tokens that are left for another call, because more than MaxBulk are due
	Effects   map[PolicyEffect]int64 // tokens, by what was done to them
	Sample    []PolicyChange         // the first BulkSample of them
	Revision  string                 // of what would change, for the call that does it
}

// PolicyChange is what applying a policy does to one token.
type PolicyChange struct {
	Before, After *Token // the same token twice where the policy cannot bring it into line
	Effects       []PolicyEffect
}

// ApplyPolicy brings the tokens that a policy covers into line with its rules: it only ever tightens. First it previews;
// with the count of that it changes up to MaxBulk tokens as one, with one audit entry for each and one for the policy.
// Where more are due it tells how many remain; calling it again with their number goes on. It needs policies.update.
// Errors: conflict, when other tokens are due than a preview told.
func (s *Service) ApplyPolicy(ctx context.Context, id PolicyID, a PolicyApply) (applied PolicyApplied, err error) {
	defer s.noteDenial(ctx, PermissionPoliciesUpdate, int64(id), "", &err)
	p, err := holder(ctx, PermissionPoliciesUpdate)
	if err != nil {
		return PolicyApplied{}, err
	}
	run := policyRun{service: s, principal: p, now: s.timestamp(), notice: DefaultNoticeDays}
	if set(&run.notice, a.NoticeDays); run.notice < 0 || run.notice > MaxNoticeDays {
		return PolicyApplied{}, Invalid("notice_days", "must be a whole number of days from 0 to %d", MaxNoticeDays)
	}
	if run.policy, err = s.store.Policy(ctx, id); err != nil {
		return PolicyApplied{}, noSuch(err, "Policy")
	}
	if err := run.find(ctx); err != nil || a.Count == nil {
		run.applied.Preview = true
		return run.applied, err
	}
	switch {
	case run.applied.Count != *a.Count:
		return PolicyApplied{}, Errorf(CodeConflict, "%d tokens would change now, not %d: preview it again",
			run.applied.Count, *a.Count)
	case a.Revision != "" && a.Revision != run.applied.Revision:
		return PolicyApplied{}, Errorf(CodeConflict, "Other changes are due than the preview told: preview it again")
	}
	return run.applied, s.tx(ctx, run.do)
}

// policyRun is one application of a policy.
type policyRun struct {
	service   *Service
	principal Principal
	policy    *LifecyclePolicy
	now       time.Time
	notice    int
	due       []TokenID
	applied   PolicyApplied
}

// find looks at every token without keeping anybody from writing.
func (r *policyRun) find(ctx context.Context) error {
	s, hash := r.service, sha256.New()
	r.applied.Effects = map[PolicyEffect]int64{}
	fmt.Fprintf(hash, "%d %s %d", r.policy.ID, r.policy.Revision(), r.notice)
	if err := s.FlushUsage(ctx); err != nil {
		return err
	}
	f := TokenFilter{Kind: r.policy.Kind, Sort: SortCreated, Limit: bulkPage, Now: r.now}
	err := eachPage(f, func(f TokenFilter) ([]*Token, error) { return s.store.Tokens(ctx, f) }, func(t *Token) error {
		covered, err := r.covers(ctx, t)
		if err != nil || !covered || t.Revoked() {
			return err
		}
		r.applied.Covered++
		change := r.change(t)
		if fmt.Fprintf(hash, " %d%v", t.ID, change.Effects); change.changes() {
			r.due = append(r.due, t.ID)
		}
		r.note(change)
		return nil
	})
	r.applied.Count, r.applied.Revision = int64(len(r.due)), hex.EncodeToString(hash.Sum(nil)[:12])
	return err
}

// note counts a change.
func (r *policyRun) note(change PolicyChange) {
	for _, effect := range change.Effects {
		r.applied.Effects[effect]++
	}
	if len(change.Effects) > 0 && len(r.applied.Sample) < BulkSample {
		r.applied.Sample = append(r.applied.Sample, change)
	}
}

func (r *policyRun) covers(ctx context.Context, t *Token) (bool, error) {
	if r.policy.Group == 0 {
		return r.policy.covers(t.Kind, nil), nil
	}
	groups := slices.Clone(t.Groups)
	if t.Owner.Type == OwnerGroup {
		return r.policy.covers(t.Kind, append(groups, GroupID(t.Owner.ID))), nil
	}
	owner, err := r.service.cache.owners.get(ctx, t.Owner.key())
	if err != nil {
		return false, err
	}
	return r.policy.covers(t.Kind, append(groups, owner.Groups...)), nil
}

// do changes what is due, in one transaction.
func (r *policyRun) do(tx Tx) error {
	policy, err := tx.Policy(r.policy.ID)
	if err != nil {
		return noSuch(err, "Policy")
	}
	if policy.Revision() != r.policy.Revision() {
		return Errorf(CodeConflict, "The policy has just been changed: preview it again")
	}
	due := r.due[:min(len(r.due), MaxBulk)]
	for _, id := range due {
		if err := r.one(tx, id); err != nil {
			return err
		}
	}
	r.applied.Count, r.applied.Remaining = int64(len(due)), int64(len(r.due)-len(due))
	after := map[string]any{"tokens": len(due), "remaining": r.applied.Remaining, "notice_days": r.notice}
	return r.service.auditChange(tx, r.principal, ActionPolicyApply, policyTarget(policy), nil, after, r.now)
}

func (r *policyRun) one(tx Tx, id TokenID) error {
	t, err := tx.Token(id)
	if err != nil && ErrorCode(err) != CodeNotFound {
		return err
	}
	if err != nil || t.Revoked() {
		return Errorf(CodeConflict, "Token %d has just been ended: preview it again", id)
	}
	change := r.change(t)
	if !change.changes() {
		return Errorf(CodeConflict, "Token %d has just been changed: preview it again", id)
	}
	action, after := ActionTokenUpdate, change.After
	if slices.Contains(change.Effects, EffectDisabled) {
		action = ActionTokenDisable
	}
	after.UpdatedAt = r.now
	if err := tx.SaveToken(after); err != nil {
		return err
	}
	return r.service.audit(tx, r.principal, action, after, auditFacts(t), r.now)
}

// changes reports whether the token becomes another than it was.
func (c *PolicyChange) changes() bool {
	return len(c.Effects) > 0 && !(len(c.Effects) == 1 && c.Effects[0] == EffectExpiryMissing)
}

// change returns what the policy makes of t.
func (r *policyRun) change(t *Token) PolicyChange {
	rules, after := strictest([]*LifecyclePolicy{r.policy}), t.Clone()
	c := PolicyChange{Before: t, After: after}
	effect := func(is bool, effect PolicyEffect) {
		if is {
			c.Effects = append(c.Effects, effect)
		}
	}
	soonest := r.now.AddDate(0, 0, r.notice)
	effect(earlier(&after.ExpiresAt, rules.lastExpiry(t), soonest), EffectExpirySet)
	effect(rules.ExpiryRequired && after.ExpiresAt.IsZero(), EffectExpiryMissing)
	if rules.checkIdle(t) != nil {
		after.IdleTimeoutDays = rules.MaxIdleTimeoutDays
		effect(true, EffectIdleLowered)
		effect(after.Status(r.now) == StatusInactive && t.Status(r.now) != StatusInactive, EffectIdleAtOnce)
	}
	if rules.checkLimit(t) != nil {
		after.RateLimit = rules.MaxRateLimit
		effect(true, EffectLimitLowered)
	}
	if rules.checkReuse(t) != nil {
		after.Reuse = rules.Reuse
		effect(true, EffectReuseRaised)
	}
	effect(r.schedule(&rules, after, soonest), EffectRotation)
	if after.Active && rules.checkKind(t) != nil {
		after.Active, after.InactiveReason = false, InactivePolicy
		effect(true, EffectDisabled)
	}
	return c
}

// schedule brings forward by when the secret of t should be replaced, and reports whether it did.
func (r *policyRun) schedule(rules *EffectiveRules, t *Token, soonest time.Time) bool {
	if rules.RotationDays == 0 {
		return false
	}
	moved := earlier(&t.RotationDueAt, t.SecretSince().AddDate(0, 0, rules.RotationDays), soonest)
	required := rules.RotationRequired && !t.RotationRequired
	t.RotationRequired = t.RotationRequired || required
	return moved || required
}

// earlier moves a moment that is later than the last one allowed to that, or to soonest where that has passed, and
// reports whether it did. The zero time is later than all; a zero last allows all.
func earlier(at *time.Time, last, soonest time.Time) bool {
	if last.IsZero() {
		return false
	}
	if last.Before(soonest) {
		last = soonest
	}
	if !at.IsZero() && !at.After(last) {
		return false
	}
	*at = toMillisecond(last)
	return true
}
