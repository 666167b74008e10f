package latchward

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// EffectiveRules are what all policies that cover a token come to.
type EffectiveRules struct {
	LifecycleRules
	// From names, for each field that any policy speaks about, the policy whose rule counts. Fields are called as in
	// JSON: max_lifetime_days and so on.
	From map[string]string
}

// strictest returns what the policies come to, in the order of their ids: of equal rules the first counts.
func strictest(policies []*LifecyclePolicy) EffectiveRules {
	var e EffectiveRules
	for _, p := range policies {
		e.add(p)
	}
	return e
}

func (e *EffectiveRules) add(p *LifecyclePolicy) {
	r := &p.Rules
	e.from("max_lifetime_days", p, lower(&e.MaxLifetimeDays, r.MaxLifetimeDays))
	e.from("expiry_required", p, demand(&e.ExpiryRequired, r.ExpiryRequired))
	e.from("idle_timeout_days", p, sooner(&e.IdleTimeoutDays, r.IdleTimeoutDays))
	e.from("max_idle_timeout_days", p, lower(&e.MaxIdleTimeoutDays, r.MaxIdleTimeoutDays))
	e.from("rate_limit", p, lower(&e.RateLimit, r.RateLimit))
	e.from("max_rate_limit", p, lower(&e.MaxRateLimit, r.MaxRateLimit))
	e.from("kinds", p, common(&e.Kinds, r.Kinds))
	e.from("rotation_days", p, lower(&e.RotationDays, r.RotationDays))
	e.from("rotation_required", p, demand(&e.RotationRequired, r.RotationRequired))
	e.from("self_rotation", p, forbid(&e.SelfRotation, r.SelfRotation))
	e.from("reuse", p, harsher(&e.Reuse, r.Reuse))
}

func (e *EffectiveRules) from(field string, p *LifecyclePolicy, decides bool) {
	if !decides {
		return
	}
	if e.From == nil {
		e.From = map[string]string{}
	}
	e.From[field] = p.Name
}

// The ways in which one rule is stricter than another. Each reports whether the new one counts from now on.

func lower[N int | int64](have *N, other N) bool {
	if other == 0 || *have != 0 && *have <= other {
		return false
	}
	*have = other
	return true
}

func demand(have *bool, other bool) bool {
	counts := other && !*have
	*have = *have || other
	return counts
}

// sooner takes 0 as never.
func sooner(have **int, other *int) bool {
	if other == nil || *have != nil && (**have != 0 && (*other == 0 || **have <= *other) || **have == 0 && *other == 0) {
		return false
	}
	*have = other
	return true
}

func common(have *[]Kind, other []Kind) bool {
	if other == nil {
		return false
	}
	if *have == nil {
		*have = slices.Clone(other)
		return true
	}
	before := len(*have)
	*have = slices.DeleteFunc(slices.Clone(*have), func(kind Kind) bool { return !slices.Contains(other, kind) })
	return len(*have) < before
}

func forbid(have **bool, other *bool) bool {
	if other == nil || *have != nil && (!**have || *other) {
		return false
	}
	*have = other
	return true
}

// harshness orders reuse policies.
func harshness(r ReusePolicy) int {
	return slices.Index([]ReusePolicy{"", ReuseAlert, ReuseDisable, ReuseRevoke}, r)
}

func harsher(have *ReusePolicy, other ReusePolicy) bool {
	if harshness(other) <= harshness(*have) {
		return false
	}
	*have = other
	return true
}

// SelfRotationAllowed reports whether the holder of a token may rotate it. Without any policy that says so, no.
func (e *EffectiveRules) SelfRotationAllowed() bool { return e.SelfRotation != nil && *e.SelfRotation }

// policySet is all policies, read once and remembered in this process until one changes.
type policySet struct {
	policies []*LifecyclePolicy
	byGroup  bool // one of them at least is about a group
}

func readPolicies(store Store) func(context.Context, struct{}) (policySet, error) {
	return func(ctx context.Context, _ struct{}) (policySet, error) {
		policies, err := store.Policies(ctx)
		byGroup := slices.ContainsFunc(policies, func(p *LifecyclePolicy) bool { return p.Group != 0 })
		return policySet{policies, byGroup}, err
	}
}

// policies returns all policies, from memory unless one has changed.
func (s *Service) policies(ctx context.Context) (*policySet, error) {
	return s.cache.policies.get(ctx, struct{}{})
}

// rules returns what counts for a token of that kind with those groups, see [LifecyclePolicy.covers].
func (set *policySet) rules(kind Kind, groups []GroupID) EffectiveRules {
	var covering []*LifecyclePolicy
	for _, p := range set.policies {
		if p.covers(kind, groups) {
			covering = append(covering, p)
		}
	}
	return strictest(covering)
}

// of returns what counts for t. It asks the transaction for the owner's groups only if that matters.
func (set *policySet) of(tx Tx, t *Token) (EffectiveRules, error) {
	if !set.byGroup {
		return set.rules(t.Kind, nil), nil
	}
	groups := slices.Clone(t.Groups)
	if t.Owner.Type == OwnerGroup {
		return set.rules(t.Kind, append(groups, GroupID(t.Owner.ID))), nil
	}
	owner, err := tx.User(UserID(t.Owner.ID))
	if err != nil {
		return EffectiveRules{}, err
	}
	return set.rules(t.Kind, append(groups, owner.Groups...)), nil
}

// policyFor returns what counts for t, from memory where policies and owner were read before.
func (s *Service) policyFor(ctx context.Context, t *Token) (EffectiveRules, error) {
	set, err := s.policies(ctx)
	if err != nil || !set.byGroup {
		return set.orNone().rules(t.Kind, nil), err
	}
	groups := slices.Clone(t.Groups)
	if t.Owner.Type == OwnerGroup {
		return set.rules(t.Kind, append(groups, GroupID(t.Owner.ID))), nil
	}
	owner, err := s.cache.owners.get(ctx, t.Owner.key())
	if err != nil {
		return EffectiveRules{}, err
	}
	return set.rules(t.Kind, append(groups, owner.Groups...)), nil
}

func (set *policySet) orNone() *policySet {
	if set == nil {
		return &policySet{}
	}
	return set
}

// refusal is the Error about a field that a rule does not allow.
func (e *EffectiveRules) refusal(field, rule, format string, args ...any) error {
	return Invalid(field, "%s (policy %s)", fmt.Sprintf(format, args...), e.From[rule])
}

// SecretSince returns when the current secret was issued.
func (t *Token) SecretSince() time.Time {
	if t.RotatedAt.IsZero() {
		return t.CreatedAt
	}
	return t.RotatedAt
}

// lastExpiry returns the latest expiry that e allows t, or the zero time.
func (e *EffectiveRules) lastExpiry(t *Token) time.Time {
	if e.MaxLifetimeDays == 0 {
		return time.Time{}
	}
	return t.SecretSince().AddDate(0, 0, e.MaxLifetimeDays)
}

// idleDefault returns the idle timeout of a token whose creator says nothing.
func (e *EffectiveRules) idleDefault(instance int) int {
	days := instance
	if e.IdleTimeoutDays != nil {
		days = *e.IdleTimeoutDays
	}
	if most := e.MaxIdleTimeoutDays; most > 0 && (days == 0 || days > most) {
		days = most
	}
	return days
}

// limitDefault returns the limit of a token whose creator says nothing.
func (e *EffectiveRules) limitDefault() int64 {
	limit := cmp.Or(e.RateLimit, DefaultRateLimit)
	if e.MaxRateLimit > 0 {
		limit = min(limit, e.MaxRateLimit)
	}
	return limit
}
