package latchward

import (
	"cmp"
	"slices"
	"time"
)

// rulesIn returns what counts for t within a transaction. Groups are more that count, beside those that t has now.
func rulesIn(tx Tx, t *Token, groups ...GroupID) (EffectiveRules, error) {
	known := tx.(*ledger) // as every transaction of Service is
	if known.policiesErr != nil {
		return EffectiveRules{}, known.policiesErr
	}
	asked := t
	if len(groups) > 0 {
		copied := *t
		copied.Groups = append(slices.Clone(t.Groups), groups...)
		asked = &copied
	}
	return known.policies.of(tx, asked)
}

// enact makes a new token obey the policies: it fills in what its creator did not name and refuses what they do not
// allow. It returns sentences about what the creator may not have expected.
func enact(tx Tx, t *Token, n *NewToken, instanceIdle int) ([]string, error) {
	rules, err := rulesIn(tx, t)
	if err != nil {
		return nil, err
	}
	var notes []string
	if n.RateLimit == 0 {
		t.RateLimit = rules.limitDefault()
	}
	if n.IdleTimeoutDays == nil {
		t.IdleTimeoutDays = rules.idleDefault(instanceIdle)
	}
	if n.Reuse == "" {
		t.Reuse = rules.Reuse
	}
	if last := rules.lastExpiry(t); t.ExpiresAt.IsZero() && !last.IsZero() && !rules.ExpiryRequired {
		t.ExpiresAt = last
		notes = append(notes, "expires_at: set to "+last.Format(time.RFC3339)+" by the policy "+rules.From["max_lifetime_days"])
	}
	rules.schedule(t)
	return notes, rules.check(&Token{}, t, t.CreatedAt)
}

// enactUpdate does the same to a token that is being changed. What violates a policy already and is not changed stays.
func enactUpdate(tx Tx, before, t *Token, u *TokenUpdate, now time.Time) error {
	rules, err := rulesIn(tx, t, before.Groups...)
	if err != nil {
		return err
	}
	if u.RateLimit != nil && *u.RateLimit == 0 {
		t.RateLimit = rules.limitDefault()
	}
	if u.Reuse != nil && *u.Reuse == "" {
		t.Reuse = rules.Reuse
	}
	last := rules.lastExpiry(t)
	if u.ExpiresAt != nil && t.ExpiresAt.IsZero() && !rules.ExpiryRequired && last.After(now) {
		t.ExpiresAt = last
	}
	return rules.check(before, t, now)
}

// enactRotation does the same to a token that has just got a new secret. A token that waited for that works again.
func enactRotation(tx Tx, t *Token, now time.Time) error {
	rules, err := rulesIn(tx, t)
	if err != nil {
		return err
	}
	if err := rules.checkKind(t); err != nil {
		return err
	}
	if rules.schedule(t); t.InactiveReason == InactivePolicy {
		t.Active, t.InactiveReason, t.EnabledAt = true, "", now
	}
	return nil
}

// schedule says by when the current secret of t should be replaced.
func (e *EffectiveRules) schedule(t *Token) {
	t.RotationDueAt, t.RotationRequired = time.Time{}, e.RotationRequired
	if e.RotationDays > 0 {
		t.RotationDueAt = t.SecretSince().AddDate(0, 0, e.RotationDays)
	}
}

// check refuses what is not allowed and was not there before. The zero Token stands for a token that is new.
func (e *EffectiveRules) check(before, t *Token, now time.Time) error {
	fresh := before.ID == 0 && before.CreatedAt.IsZero()
	enabled := fresh || t.Active && !before.Active
	checks := []struct {
		due bool
		do  func(*Token) error
	}{
		{enabled, e.checkKind},
		{enabled, func(t *Token) error { return checkRotated(t, now) }},
		{fresh || !t.ExpiresAt.Equal(before.ExpiresAt), e.checkExpiry},
		{fresh || t.IdleTimeoutDays != before.IdleTimeoutDays, e.checkIdle},
		{fresh || t.RateLimit != before.RateLimit, e.checkLimit},
		{fresh || t.Reuse != before.Reuse, e.checkReuse},
	}
	for _, c := range checks {
		if !c.due {
			continue
		}
		if err := c.do(t); err != nil {
			return err
		}
	}
	return nil
}

func (e *EffectiveRules) checkKind(t *Token) error {
	if e.Kinds == nil || slices.Contains(e.Kinds, t.Kind) {
		return nil
	}
	return e.refusal("kind", "kinds", "%s tokens are not allowed", t.Kind)
}

func checkRotated(t *Token, now time.Time) error {
	if t.rotationOverdue(now) && t.RotationRequired {
		return &Error{Code: CodeConflict, Field: "active", Message: "Its secret should have been replaced by " +
			t.RotationDueAt.Format(time.RFC3339) + ": rotate the token, which also enables it"}
	}
	return nil
}

func (t *Token) rotationOverdue(now time.Time) bool {
	return !t.RotationDueAt.IsZero() && !now.Before(t.RotationDueAt)
}

func (e *EffectiveRules) checkExpiry(t *Token) error {
	last := e.lastExpiry(t)
	switch {
	case t.ExpiresAt.IsZero() && e.ExpiryRequired:
		return e.refusal("expires_at", "expiry_required", "must be given")
	case last.IsZero() || !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(last):
		return nil
	}
	return e.refusal("expires_at", "max_lifetime_days", "must not be after %s: a secret lives %d days at most, counted from "+
		"its creation or rotation", last.Format(time.RFC3339), e.MaxLifetimeDays)
}

func (e *EffectiveRules) checkIdle(t *Token) error {
	if most := e.MaxIdleTimeoutDays; most > 0 && (t.IdleTimeoutDays == 0 || t.IdleTimeoutDays > most) {
		return e.refusal("idle_timeout_days", "max_idle_timeout_days", "must be a whole number of days from 1 to %d", most)
	}
	return nil
}

func (e *EffectiveRules) checkLimit(t *Token) error {
	if most := e.MaxRateLimit; most > 0 && t.RateLimit > most {
		return e.refusal("rate_limit", "max_rate_limit", "must be at most %d requests per minute", most)
	}
	return nil
}

func (e *EffectiveRules) checkReuse(t *Token) error {
	if harshness(cmp.Or(t.Reuse, ReuseAlert)) < harshness(e.Reuse) {
		return e.refusal("reuse", "reuse", "must be %q at least", e.Reuse)
	}
	return nil
}
