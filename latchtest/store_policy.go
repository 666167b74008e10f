package latchtest

import (
	"slices"
	"time"

	"github.com/latchward/latchward"
)

func policies() recordKind[latchward.LifecyclePolicy, latchward.PolicyID] {
	return recordKind[latchward.LifecyclePolicy, latchward.PolicyID]{
		name: "Policy", plural: "Policies", change: latchward.ChangePolicy,
		begins: func() []*latchward.LifecyclePolicy { return nil },
		copies: "Policy returns a copy of the policy.",
		lists:  "Policies returns all policies, ordered by id.",
		byName: "PolicyByName returns a copy of the policy with that name.",
		taken:  "A name that another policy has is an Error of code conflict.",
		names:  "The commit must name the policy as changed.",
		whole:  wholePolicy,
		bare: func(name string) *latchward.LifecyclePolicy {
			return &latchward.LifecyclePolicy{Name: name, CreatedAt: epoch(), UpdatedAt: epoch()}
		},
		scribble: func(p *latchward.LifecyclePolicy) {
			p.Name, p.Rules.MaxLifetimeDays = "scribble", 7
			if p.Rules.Kinds != nil {
				p.Rules.Kinds[0], *p.Rules.IdleTimeoutDays, *p.Rules.SelfRotation = "scribble", 8, false
			}
		},
		fields: func(p *latchward.LifecyclePolicy) (*latchward.PolicyID, *string) { return &p.ID, &p.Name },
		read:   latchward.Store.Policy,
		list:   latchward.Store.Policies,
		inTx: func(tx latchward.Tx) recordTx[latchward.LifecyclePolicy, latchward.PolicyID] {
			return recordTx[latchward.LifecyclePolicy, latchward.PolicyID]{
				tx.Policy, tx.PolicyByName, tx.SavePolicy, tx.DeletePolicy,
			}
		},
	}
}

// wholePolicy makes policies about one group, which is there once.
func wholePolicy(t *trial, name string) *latchward.LifecyclePolicy {
	idle, self := 30, true
	return &latchward.LifecyclePolicy{
		Name: name, Title: "Contractors 🐝", Description: "line\nbreak", Group: t.policyGroup(), Kind: latchward.KindService,
		Rules: latchward.LifecycleRules{
			MaxLifetimeDays: 90, ExpiryRequired: true, IdleTimeoutDays: &idle, MaxIdleTimeoutDays: 60, RateLimit: 50,
			MaxRateLimit: latchward.MaxRateLimit, Kinds: []latchward.Kind{latchward.KindPersonal, latchward.KindService},
			RotationDays: 14, RotationRequired: true, SelfRotation: &self, Reuse: latchward.ReuseDisable,
		},
		CreatedAt: epoch(), UpdatedAt: epoch().Add(time.Millisecond),
	}
}

// policyGroup returns the id of the only group, making it when there is none yet.
func (t *trial) policyGroup() latchward.GroupID {
	t.Helper()
	if known := t.groups(latchward.GroupFilter{}); len(known) > 0 {
		return known[0].ID
	}
	return t.group().ID
}

func policyPromises() []storePromise {
	k := policies()
	return slices.Concat(recordPromises(k), k.deletes("DeletePolicy makes the policy disappear."), []storePromise{
		{"Policy/TellsNothingFromZero", k.copies, policyTellsNothingFromZero},
		{"Tx.SavePolicy/RefusesUnknownGroups", namedExist, policyOfNoGroup},
	})
}

const namedExist = "What a record names must exist: an owner, role, group or license that does not, " +
	"or membership of a removed group, is an Error of code invalid that names the field."

// policyTellsNothingFromZero checks that "never" and "no" are not taken for saying nothing.
func policyTellsNothingFromZero(t *trial) {
	never, no := 0, false
	p := policies().bare("zeros")
	p.Rules.IdleTimeoutDays, p.Rules.SelfRotation = &never, &no
	p = policies().save(t, p)
	t.same("a policy that says never and no", policies().stored(t, p.ID), p)
}

func policyOfNoGroup(t *trial) {
	p := policies().bare("nobody")
	p.Group = t.group().ID + 1000
	err := policies().saveError(t, p)
	t.code("SavePolicy of a group that does not exist", err, latchward.CodeInvalid)
	if field := latchward.ErrorField(err); field != "group" {
		t.Errorf("the error names the field %q", field)
	}
}
