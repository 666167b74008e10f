package latchward

import (
	"context"
	"slices"
	"time"
)

// Bounds of policies.
const (
	MaxPolicies     = 1000
	MaxLifetimeDays = 3650
	MaxRotationDays = 3650
)

// PolicyID identifies a policy for ever; it is never given to another one.
type PolicyID int64

// LifecyclePolicy is a rule about how tokens are made, kept and replaced (B-13). It covers the tokens of its group and
// kind. A token that several policies cover obeys the strictest rule of each, see [LifecycleRules].
//
// A policy binds what is made or changed from then on. What it would refuse and is there already stays as it is until
// the policy is applied, see [Service.ApplyPolicy].
type LifecyclePolicy struct {
	ID          PolicyID
	Name        string // unique; by which refusals name it, see ValidateIdentifier
	Title       string // for people to read, up to MaxNameLength characters; "" = Name
	Description string // up to MaxDescriptionLength characters
	// Group narrows the policy to the tokens that a group owns, those that its members own, and service tokens that are
	// members themselves; 0 = everybody's.
	Group GroupID
	Kind  Kind // narrows the policy to tokens of one kind; "" = both
	Rules LifecycleRules

	CreatedAt time.Time
	UpdatedAt time.Time
}

// LifecycleRules are what policies say. The zero value of a field says nothing. Where several policies speak, the
// strictest counts: the shortest time, the lowest limit, what every one of them allows, what any of them demands.
type LifecycleRules struct {
	// MaxLifetimeDays bounds how long after its secret was issued a token expires. A token for which nobody names an
	// expiry expires then. Rotating a token begins a new lifetime, but does not move its expiry.
	MaxLifetimeDays int
	ExpiryRequired  bool // whoever creates a token must name its expiry

	IdleTimeoutDays    *int // of tokens created without one; 0 = never; nil = the instance's default
	MaxIdleTimeoutDays int

	RateLimit    int64 // of tokens created without one, in requests per minute
	MaxRateLimit int64

	Kinds []Kind // that may be created and enabled; nil = all; in their order, each once

	// RotationDays is after how many days a secret should be replaced. Tokens carry the date and warn of it.
	RotationDays     int
	RotationRequired bool // a token whose secret is not replaced by then is disabled until it is

	SelfRotation *bool       // whether the holder of a token may rotate it (B-05); nil, and nobody else allows it = no
	Reuse        ReusePolicy // the least that the use of a rotated-out secret brings about
}

// PolicyStore is what [Store] keeps of policies.
type PolicyStore interface {
	// Policy returns a copy of the policy.
	Policy(ctx context.Context, id PolicyID) (*LifecyclePolicy, error)
	// Policies returns all policies, ordered by id.
	Policies(ctx context.Context) ([]*LifecyclePolicy, error)
}

// PolicyTx is what a transaction does to policies.
type PolicyTx interface {
	// Policy returns a copy of the policy.
	Policy(id PolicyID) (*LifecyclePolicy, error)
	// PolicyByName returns a copy of the policy with that name.
	PolicyByName(name string) (*LifecyclePolicy, error)
	// SavePolicy inserts the policy when its ID is 0, setting the ID, and else replaces it. Ids must never be used
	// again. A name that another policy has is an Error of code conflict. The commit must name the policy as changed.
	SavePolicy(p *LifecyclePolicy) error
	// DeletePolicy makes the policy disappear. The commit must name the policy as changed.
	DeletePolicy(id PolicyID) error
}

// NewPolicy is what somebody who makes a policy may say.
type NewPolicy struct {
	Name        string // required
	Title       string
	Description string
	Group       string // name; "" = everybody's tokens
	Kind        Kind   // "" = both
	Rules       LifecycleRules
}

// PolicyUpdate changes a policy; nil leaves a field as it is. What it covers stays.
type PolicyUpdate struct {
	Name        *string
	Title       *string
	Description *string
	Rules       *LifecycleRules
	// Edit makes the new rules of the old ones, instead of Rules; it may run twice.
	Edit      func(LifecycleRules) LifecycleRules
	Revisions []string // the policy must have one of these, see [LifecyclePolicy.Revision]; empty = whatever it has
}

// DisplayName returns the best text there is for a person to recognise p by.
func (p *LifecyclePolicy) DisplayName() string { return orDefault(p.Title, p.Name) }

// Validate checks every field that a caller can set.
func (p *LifecyclePolicy) Validate() error {
	if err := ValidateIdentifier("name", p.Name); err != nil {
		return err
	}
	if err := validateText("title", p.Title, 0, MaxNameLength); err != nil {
		return err
	}
	if err := validateText("description", p.Description, 0, MaxDescriptionLength); err != nil {
		return err
	}
	switch {
	case p.Kind != "" && !slices.Contains(kinds(), p.Kind):
		return Invalid("kind", "must be %q or %q", KindPersonal, KindService)
	case p.Kind != "" && p.Rules.Kinds != nil:
		return Invalid("kinds", "a policy about one kind cannot choose among kinds")
	}
	return p.Rules.validate()
}

func kinds() []Kind { return []Kind{KindPersonal, KindService} }

func (r *LifecycleRules) validate() error {
	bounds := []struct {
		field string
		value int64
		most  int64
	}{
		{"max_lifetime_days", int64(r.MaxLifetimeDays), MaxLifetimeDays},
		{"max_idle_timeout_days", int64(r.MaxIdleTimeoutDays), MaxIdleTimeoutDays},
		{"rate_limit", r.RateLimit, MaxRateLimit},
		{"max_rate_limit", r.MaxRateLimit, MaxRateLimit},
		{"rotation_days", int64(r.RotationDays), MaxRotationDays},
	}
	for _, b := range bounds {
		if b.value < 0 || b.value > b.most {
			return Invalid(b.field, "must be null or a whole number from 1 to %d", b.most)
		}
	}
	if days := r.IdleTimeoutDays; days != nil && (*days < 0 || *days > MaxIdleTimeoutDays) {
		return Invalid("idle_timeout_days", "must be null, 0 for never, or a whole number of days up to %d", MaxIdleTimeoutDays)
	}
	switch {
	case r.Kinds != nil && len(r.Kinds) == 0:
		return Invalid("kinds", "must hold a kind at least; null is both")
	case slices.ContainsFunc(r.Kinds, func(kind Kind) bool { return !slices.Contains(kinds(), kind) }):
		return Invalid("kinds", "must hold nothing but %q and %q", KindPersonal, KindService)
	case r.RotationRequired && r.RotationDays == 0:
		return Invalid("rotation_required", "needs rotation_days")
	case !r.Reuse.valid():
		return Invalid("reuse", "must be %q, %q or %q", ReuseAlert, ReuseDisable, ReuseRevoke)
	}
	return nil
}

// normal returns r as it is kept.
func (r LifecycleRules) normal() LifecycleRules {
	if len(r.Kinds) > 0 {
		r.Kinds = slices.Compact(slices.Sorted(slices.Values(r.Kinds)))
	}
	return r
}

// covers reports whether the policy is about a token of that kind with those groups: the one that owns it, those of
// the user who does, and those of which it is a member itself.
func (p *LifecyclePolicy) covers(kind Kind, groups []GroupID) bool {
	return (p.Kind == "" || p.Kind == kind) && (p.Group == 0 || slices.Contains(groups, p.Group))
}
