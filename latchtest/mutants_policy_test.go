package latchtest

import (
	"slices"

	"github.com/latchward/latchward"
)

func policyHooks() recordHooks[latchward.LifecyclePolicy, latchward.PolicyID] {
	return recordHooks[latchward.LifecyclePolicy, latchward.PolicyID]{
		read: func(a *altered) *func(latchward.PolicyID) (*latchward.LifecyclePolicy, error) { return &a.policy },
		list: func(a *altered, edit func([]*latchward.LifecyclePolicy) []*latchward.LifecyclePolicy) {
			a.policies = func() ([]*latchward.LifecyclePolicy, error) {
				list, err := a.Store.Policies(background())
				return edit(list), err
			}
		},
		tx: func(tx *alteredTx) recordHooksTx[latchward.LifecyclePolicy, latchward.PolicyID] {
			return recordHooksTx[latchward.LifecyclePolicy, latchward.PolicyID]{
				&tx.policy, &tx.policyByName, &tx.savePolicy, &tx.deletePolicy,
			}
		},
	}
}

func policyMutants() []mutant {
	k, h := policies(), policyHooks()
	list := slices.Concat(recordMutants(k, h), deleteMutants(k, h), []mutant{
		{"Policy/TellsNothingFromZero", "takes zero for nothing",
			h.saves(k, func(right func(*latchward.LifecyclePolicy) error, p *latchward.LifecyclePolicy) error {
				wrong := *p
				wrong.Rules.IdleTimeoutDays, wrong.Rules.SelfRotation = nil, nil
				err := right(&wrong)
				p.ID = wrong.ID
				return err
			})},
		{"Tx.SavePolicy/RefusesUnknownGroups", "saves nothing and calls it success",
			h.saves(k, func(right func(*latchward.LifecyclePolicy) error, p *latchward.LifecyclePolicy) error {
				return unless(right(p), latchward.CodeInvalid)
			})},
	})
	for _, field := range fieldsBut[latchward.LifecycleRules]() {
		list = append(list, mutant{
			"Policy/KeepsEveryField Tx.SavePolicy/ReplacesEveryField", "loses a policy's rule " + field,
			h.saves(k, func(right func(*latchward.LifecyclePolicy) error, p *latchward.LifecyclePolicy) error {
				wrong := *p
				lose(&wrong.Rules, field)
				err := right(&wrong)
				p.ID = wrong.ID
				return err
			}),
		})
	}
	return list
}
