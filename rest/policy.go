package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// PolicyRules are what a policy says; null, and missing, says nothing. Of several policies the strictest rule counts.
type PolicyRules struct {
	MaxLifetimeDays    *int                   `json:"max_lifetime_days" range:"1,3650" doc:"From when a secret is issued to its expiry."`
	ExpiryRequired     bool                   `json:"expiry_required" doc:"Whoever creates a token must name its expiry."`
	IdleTimeoutDays    *int                   `json:"idle_timeout_days" range:"0,3650" doc:"Of tokens created without one; 0 is never."`
	MaxIdleTimeoutDays *int                   `json:"max_idle_timeout_days" range:"1,3650"`
	RateLimit          *int64                 `json:"rate_limit" range:"1,10000000" doc:"Of tokens created without one."`
	MaxRateLimit       *int64                 `json:"max_rate_limit" range:"1,10000000"`
	Kinds              []latchward.Kind       `json:"kinds" null:"true" doc:"That may be created and enabled; null is both."`
	RotationDays       *int                   `json:"rotation_days" range:"1,3650" doc:"After which a secret should be replaced."`
	RotationRequired   bool                   `json:"rotation_required" doc:"A token whose secret is not is disabled."`
	SelfRotation       *bool                  `json:"self_rotation" doc:"Whether holders may rotate; null leaves it to others."`
	Reuse              *latchward.ReusePolicy `json:"reuse" doc:"The least that the use of a rotated-out secret brings about."`
}

// Policy is a rule about how tokens are made, kept and replaced as the API shows it.
type Policy struct {
	ID          int64           `json:"id"`
	Name        string          `json:"name" doc:"By which refusals name it."`
	Title       *string         `json:"title" doc:"For people to read."`
	Description *string         `json:"description"`
	Group       *string         `json:"group" doc:"Whose tokens, its members' and member tokens it covers; null is everybody's."`
	Kind        *latchward.Kind `json:"kind" doc:"Which tokens it covers; null is both."`
	PolicyRules
	CreatedAt Time `json:"created_at"`
	UpdatedAt Time `json:"updated_at"`
}

// PolicyReply answers with one policy.
type PolicyReply struct {
	Policy Policy `json:"policy"`
	Revision
}

// PolicyList lists all policies, in the order of their ids.
type PolicyList struct {
	Policies []Policy `json:"policies"`
}

// PolicyChange changes a policy: what is left out stays, null says nothing any more.
type PolicyChange struct {
	Name               *string                         `json:"name,omitempty" null:"false"`
	Title              Optional[string]                `json:"title,omitzero"`
	Description        Optional[string]                `json:"description,omitzero"`
	MaxLifetimeDays    Optional[int]                   `json:"max_lifetime_days,omitzero" range:"1,3650"`
	ExpiryRequired     Optional[bool]                  `json:"expiry_required,omitzero"`
	IdleTimeoutDays    Optional[int]                   `json:"idle_timeout_days,omitzero" range:"0,3650" doc:"0 is never."`
	MaxIdleTimeoutDays Optional[int]                   `json:"max_idle_timeout_days,omitzero" range:"1,3650"`
	RateLimit          Optional[int64]                 `json:"rate_limit,omitzero" range:"1,10000000"`
	MaxRateLimit       Optional[int64]                 `json:"max_rate_limit,omitzero" range:"1,10000000"`
	Kinds              Optional[[]latchward.Kind]      `json:"kinds,omitzero"`
	RotationDays       Optional[int]                   `json:"rotation_days,omitzero" range:"1,3650"`
	RotationRequired   Optional[bool]                  `json:"rotation_required,omitzero"`
	SelfRotation       Optional[bool]                  `json:"self_rotation,omitzero"`
	Reuse              Optional[latchward.ReusePolicy] `json:"reuse,omitzero"`
	Revision
}

// NewPolicy asks for a policy. What it covers stays as it is made.
type NewPolicy struct {
	Name               string                          `json:"name" doc:"Lower-case letters, digits, -, _ and ."`
	Title              Optional[string]                `json:"title,omitzero"`
	Description        Optional[string]                `json:"description,omitzero"`
	Group              Optional[string]                `json:"group,omitzero" doc:"Name of a group; null is everybody's tokens."`
	Kind               Optional[latchward.Kind]        `json:"kind,omitzero" doc:"Null is both."`
	MaxLifetimeDays    Optional[int]                   `json:"max_lifetime_days,omitzero" range:"1,3650"`
	ExpiryRequired     Optional[bool]                  `json:"expiry_required,omitzero"`
	IdleTimeoutDays    Optional[int]                   `json:"idle_timeout_days,omitzero" range:"0,3650" doc:"0 is never."`
	MaxIdleTimeoutDays Optional[int]                   `json:"max_idle_timeout_days,omitzero" range:"1,3650"`
	RateLimit          Optional[int64]                 `json:"rate_limit,omitzero" range:"1,10000000"`
	MaxRateLimit       Optional[int64]                 `json:"max_rate_limit,omitzero" range:"1,10000000"`
	Kinds              Optional[[]latchward.Kind]      `json:"kinds,omitzero"`
	RotationDays       Optional[int]                   `json:"rotation_days,omitzero" range:"1,3650"`
	RotationRequired   Optional[bool]                  `json:"rotation_required,omitzero"`
	SelfRotation       Optional[bool]                  `json:"self_rotation,omitzero"`
	Reuse              Optional[latchward.ReusePolicy] `json:"reuse,omitzero"`
}

// rules returns r with what c changes.
func (c *PolicyChange) rules(r latchward.LifecycleRules) latchward.LifecycleRules {
	put(&r.MaxLifetimeDays, c.MaxLifetimeDays)
	put(&r.ExpiryRequired, c.ExpiryRequired)
	put(&r.MaxIdleTimeoutDays, c.MaxIdleTimeoutDays)
	put(&r.RateLimit, c.RateLimit)
	put(&r.MaxRateLimit, c.MaxRateLimit)
	put(&r.Kinds, c.Kinds)
	put(&r.RotationDays, c.RotationDays)
	put(&r.RotationRequired, c.RotationRequired)
	put(&r.Reuse, c.Reuse)
	if c.IdleTimeoutDays.Set {
		r.IdleTimeoutDays = c.IdleTimeoutDays.pointer()
	}
	if c.SelfRotation.Set {
		r.SelfRotation = c.SelfRotation.pointer()
	}
	return r
}

// put sets a rule that o names; null makes it the zero value.
func put[T any](rule *T, o Optional[T]) {
	if o.Set {
		*rule = o.Value
	}
}

// pointer returns the value, or nil for null.
func (o Optional[T]) pointer() *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

// rules is what a new policy says.
func (n *NewPolicy) rules() latchward.LifecycleRules {
	c := PolicyChange{
		MaxLifetimeDays: n.MaxLifetimeDays, ExpiryRequired: n.ExpiryRequired, IdleTimeoutDays: n.IdleTimeoutDays,
		MaxIdleTimeoutDays: n.MaxIdleTimeoutDays, RateLimit: n.RateLimit, MaxRateLimit: n.MaxRateLimit, Kinds: n.Kinds,
		RotationDays: n.RotationDays, RotationRequired: n.RotationRequired, SelfRotation: n.SelfRotation, Reuse: n.Reuse,
	}
	return c.rules(latchward.LifecycleRules{})
}

func rulesOf(r *latchward.LifecycleRules) PolicyRules {
	return PolicyRules{
		MaxLifetimeDays: numberOrNull(r.MaxLifetimeDays), ExpiryRequired: r.ExpiryRequired,
		IdleTimeoutDays: r.IdleTimeoutDays, MaxIdleTimeoutDays: numberOrNull(r.MaxIdleTimeoutDays),
		RateLimit: numberOrNull(r.RateLimit), MaxRateLimit: numberOrNull(r.MaxRateLimit), Kinds: r.Kinds,
		RotationDays: numberOrNull(r.RotationDays), RotationRequired: r.RotationRequired, SelfRotation: r.SelfRotation,
		Reuse: textOrNull(r.Reuse),
	}
}

func numberOrNull[N int | int64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

func (h *handler) policyOf(ctx context.Context, p *latchward.LifecyclePolicy) (Policy, error) {
	wire := Policy{
		ID: int64(p.ID), Name: p.Name, Title: textOrNull(p.Title), Description: textOrNull(p.Description),
		Kind: textOrNull(p.Kind), PolicyRules: rulesOf(&p.Rules), CreatedAt: Time{p.CreatedAt}, UpdatedAt: Time{p.UpdatedAt},
	}
	if p.Group == 0 {
		return wire, nil
	}
	names, err := h.service.Names(ctx, nil, []latchward.GroupID{p.Group}, nil)
	name := "" // of a group that was removed, which covers nothing
	if len(names.Groups) > 0 {
		name = names.Groups[0]
	}
	wire.Group = &name
	return wire, err
}

func (h *handler) policyReply(ctx context.Context, p *latchward.LifecyclePolicy, err error) (PolicyReply, error) {
	if err != nil {
		return PolicyReply{}, err
	}
	wire, err := h.policyOf(ctx, p)
	return PolicyReply{wire, Revision{p.Revision()}}, err
}

func (h *handler) policies(ctx context.Context, _ request[none, none]) (PolicyList, error) {
	list, err := h.service.Policies(ctx)
	reply := PolicyList{Policies: make([]Policy, len(list))}
	for i, p := range list {
		if reply.Policies[i], err = h.policyOf(ctx, p); err != nil {
			return reply, err
		}
	}
	return reply, err
}

func (h *handler) policy(ctx context.Context, in request[none, none]) (PolicyReply, error) {
	p, err := h.service.Policy(ctx, latchward.PolicyID(in.ID))
	return h.policyReply(ctx, p, err)
}

func (h *handler) createPolicy(ctx context.Context, in request[none, NewPolicy]) (PolicyReply, error) {
	p, err := h.service.CreatePolicy(ctx, latchward.NewPolicy{
		Name: in.Body.Name, Title: in.Body.Title.Value, Description: in.Body.Description.Value,
		Group: in.Body.Group.Value, Kind: in.Body.Kind.Value, Rules: in.Body.rules(),
	})
	return h.policyReply(ctx, p, err)
}

func (h *handler) updatePolicy(ctx context.Context, in request[none, PolicyChange]) (PolicyReply, error) {
	id := latchward.PolicyID(in.ID)
	edit := latchward.PolicyUpdate{
		Name: in.Body.Name, Title: in.Body.Title.change(), Description: in.Body.Description.change(),
		Edit: in.Body.rules, Revisions: in.Revisions,
	}
	p, err := h.service.UpdatePolicy(ctx, id, edit)
	return h.policyReply(ctx, p, err)
}

func (h *handler) deletePolicy(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.DeletePolicy(ctx, latchward.PolicyID(in.ID))
	return Message{"Policy deleted; what it made of tokens stays"}, err
}
