package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/latchward/latchward"
)

// policies are replaced, never changed in place.
type policies struct {
	byID map[latchward.PolicyID]*latchward.LifecyclePolicy
	last latchward.PolicyID // the last id given out
}

func copyPolicy(p *latchward.LifecyclePolicy) (*latchward.LifecyclePolicy, error) {
	if p == nil {
		return nil, notFound("policy")
	}
	c := *p
	c.Rules.Kinds = slices.Clone(p.Rules.Kinds)
	c.Rules.IdleTimeoutDays, c.Rules.SelfRotation = copyOf(p.Rules.IdleTimeoutDays), copyOf(p.Rules.SelfRotation)
	return &c, nil
}

func copyOf[T any](value *T) *T {
	if value == nil {
		return nil
	}
	c := *value
	return &c
}

func (p *policies) named(name string) *latchward.LifecyclePolicy {
	for _, policy := range p.byID {
		if policy.Name == name {
			return policy
		}
	}
	return nil
}

// Policy implements [latchward.Store].
func (s *Store) Policy(_ context.Context, id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return copyPolicy(s.policies.byID[id])
}

// Policies implements [latchward.Store].
func (s *Store) Policies(context.Context) ([]*latchward.LifecyclePolicy, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*latchward.LifecyclePolicy
	for _, id := range slices.Sorted(maps.Keys(s.policies.byID)) {
		c, _ := copyPolicy(s.policies.byID[id])
		all = append(all, c)
	}
	return all, nil
}

// Policy implements [latchward.Tx].
func (tx *transaction) Policy(id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	return copyPolicy(tx.store.policies.byID[id])
}

// PolicyByName implements [latchward.Tx].
func (tx *transaction) PolicyByName(name string) (*latchward.LifecyclePolicy, error) {
	return copyPolicy(tx.store.policies.named(name))
}

// SavePolicy implements [latchward.Tx].
func (tx *transaction) SavePolicy(p *latchward.LifecyclePolicy) error {
	s := tx.store
	if p.ID != 0 && s.policies.byID[p.ID] == nil {
		return notFound("policy")
	}
	if other := s.policies.named(p.Name); other != nil && other.ID != p.ID {
		return nameTaken("policy")
	}
	if g := s.rights.groups[p.Group]; p.Group != 0 && g == nil {
		return latchward.Invalid("group", "there is no group %d", p.Group)
	}
	if p.ID == 0 {
		s.policies.last++
		p.ID = s.policies.last
	}
	kept, err := copyPolicy(p)
	put(tx, s.policies.byID, p.ID, kept)
	tx.changed(latchward.ChangePolicy, decimal(p.ID))
	return err
}

// DeletePolicy implements [latchward.Tx].
func (tx *transaction) DeletePolicy(id latchward.PolicyID) error {
	if tx.store.policies.byID[id] == nil {
		return notFound("policy")
	}
	drop(tx, tx.store.policies.byID, id)
	tx.changed(latchward.ChangePolicy, decimal(id))
	return nil
}
