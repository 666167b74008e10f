package latchward

import (
	"context"
	"time"
)

// Policies returns all policies, in the order of their ids. It needs policies.read.
func (s *Service) Policies(ctx context.Context) ([]*LifecyclePolicy, error) {
	if _, err := holder(ctx, PermissionPoliciesRead); err != nil {
		return nil, err
	}
	return s.store.Policies(ctx)
}

// Policy returns one policy. It needs policies.read.
func (s *Service) Policy(ctx context.Context, id PolicyID) (*LifecyclePolicy, error) {
	if _, err := holder(ctx, PermissionPoliciesRead); err != nil {
		return nil, err
	}
	policy, err := s.store.Policy(ctx, id)
	if err != nil {
		return nil, noSuch(err, "Policy")
	}
	return policy, nil
}

// TokenPolicy returns what the policies that cover a token come to. Who may see the token may ask.
func (s *Service) TokenPolicy(ctx context.Context, id TokenID) (EffectiveRules, error) {
	t, err := s.Token(ctx, id)
	if err != nil {
		return EffectiveRules{}, err
	}
	return s.policyFor(ctx, t)
}

// CreatePolicy adds a policy, for what is made and changed from now on. It needs policies.update. Errors: invalid,
// conflict for a name that is taken, forbidden.
func (s *Service) CreatePolicy(ctx context.Context, n NewPolicy) (created *LifecyclePolicy, err error) {
	defer s.noteDenial(ctx, PermissionPoliciesUpdate, 0, n.Name, &err)
	p, err := holder(ctx, PermissionPoliciesUpdate)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	policy := LifecyclePolicy{
		Name: n.Name, Title: n.Title, Description: n.Description, Kind: n.Kind, Rules: n.Rules.normal(),
		CreatedAt: now, UpdatedAt: now,
	}
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	if known, err := s.policies(ctx); err != nil {
		return nil, err
	} else if len(known.policies) >= MaxPolicies {
		return nil, Errorf(CodeConflict, "There are at most %d policies; delete some", MaxPolicies)
	}
	created = &LifecyclePolicy{}
	err = s.tx(ctx, func(tx Tx) error {
		*created = policy
		if created.Group, err = findOne("group", n.Group, tx.GroupByName, func(g *Group) GroupID { return g.ID }); err != nil {
			return err
		}
		if err := tx.SavePolicy(created); err != nil {
			return err
		}
		return s.auditPolicy(tx, p, ActionPolicyCreate, created, nil, now)
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// UpdatePolicy changes what u names, for what is made and changed from now on. It needs policies.update.
func (s *Service) UpdatePolicy(ctx context.Context, id PolicyID, u PolicyUpdate) (*LifecyclePolicy, error) {
	return s.changePolicy(ctx, id, func(tx Tx, p Principal, policy *LifecyclePolicy, now time.Time) error {
		if err := checkRevision(u.Revisions, policy.Revision()); err != nil {
			return err
		}
		before := policyFacts(policy)
		set(&policy.Name, u.Name)
		set(&policy.Title, u.Title)
		set(&policy.Description, u.Description)
		if u.Rules != nil {
			policy.Rules = u.Rules.normal()
		}
		if u.Edit != nil {
			policy.Rules = u.Edit(policy.Rules).normal()
		}
		policy.UpdatedAt = now
		if err := policy.Validate(); err != nil {
			return err
		}
		if err := tx.SavePolicy(policy); err != nil {
			return err
		}
		return s.auditPolicy(tx, p, ActionPolicyUpdate, policy, before, now)
	})
}

// DeletePolicy lifts a policy. What it made of tokens stays as it is. It needs policies.update.
func (s *Service) DeletePolicy(ctx context.Context, id PolicyID) error {
	_, err := s.changePolicy(ctx, id, func(tx Tx, p Principal, policy *LifecyclePolicy, now time.Time) error {
		if err := tx.DeletePolicy(id); err != nil {
			return err
		}
		return s.auditChange(tx, p, ActionPolicyDelete, policyTarget(policy), policyFacts(policy), nil, now)
	})
	return err
}

func (s *Service) changePolicy(
	ctx context.Context, id PolicyID, edit func(tx Tx, p Principal, policy *LifecyclePolicy, now time.Time) error,
) (changed *LifecyclePolicy, err error) {
	defer s.noteDenial(ctx, PermissionPoliciesUpdate, int64(id), "", &err)
	p, err := holder(ctx, PermissionPoliciesUpdate)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		policy, err := tx.Policy(id)
		if err != nil {
			return noSuch(err, "Policy")
		}
		changed = policy
		return edit(tx, p, policy, now)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

func policyTarget(p *LifecyclePolicy) target { return target{"policy", int64(p.ID), p.Name} }

func (s *Service) auditPolicy(
	tx Tx, p Principal, action string, policy *LifecyclePolicy, before map[string]any, now time.Time,
) error {
	return s.auditChange(tx, p, action, policyTarget(policy), before, policyFacts(policy), now)
}

func policyFacts(p *LifecyclePolicy) map[string]any {
	r := &p.Rules
	return map[string]any{
		"name": p.Name, "title": p.Title, "description": p.Description, "group": int64(p.Group), "kind": string(p.Kind),
		"max_lifetime_days": r.MaxLifetimeDays, "expiry_required": r.ExpiryRequired,
		"idle_timeout_days": r.IdleTimeoutDays, "max_idle_timeout_days": r.MaxIdleTimeoutDays,
		"rate_limit": r.RateLimit, "max_rate_limit": r.MaxRateLimit, "kinds": r.Kinds,
		"rotation_days": r.RotationDays, "rotation_required": r.RotationRequired,
		"self_rotation": r.SelfRotation, "reuse": string(r.Reuse),
	}
}
