// Package latchtest holds the contracts between the parts of Latchward, as tests that every backend runs.
//
// A contract is a table of promises. Each has a name, quotes the sentence of the documentation that it checks, and
// runs against something fresh, so that one broken promise never hides another.
package latchtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// TB is what a promise needs of a test; a *testing.T is one. Fatalf must end the goroutine that the promise runs in.
type TB interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// storePromise is one promise of [latchward.Store].
type storePromise struct {
	name     string // Method/Promise; methods of latchward.Tx are Tx.Method
	sentence string // of the documentation in the root package that this checks, as it stands there
	check    func(t *trial)
}

// RunStore checks every promise of [latchward.Store], [latchward.UsageStore] and [latchward.AccountStore]. newStore returns an empty store, each
// time another one, and closes it by way of t.Cleanup.
func RunStore(t *testing.T, newStore func(t *testing.T) latchward.Store) {
	t.Helper()
	for _, p := range storePromises() {
		t.Run(p.name, func(t *testing.T) {
			p.check(newTrial(t, newStore(t)))
		})
	}
}

// StorePromises returns the names of all promises that [RunStore] checks, in its order.
func StorePromises() []string {
	var names []string
	for _, p := range storePromises() {
		names = append(names, p.name)
	}
	return names
}

func storePromises() []storePromise {
	return slices.Concat(
		txPromises(), concurrencyPromises(), factsPromises(),
		tokenPromises(), tokenListPromises(), saveTokenPromises(), endTokenPromises(),
		userPromises(), saveUserPromises(), auditPromises(), keyPromises(),
		recordPromises(roles()), recordPromises(groups()), recordPromises(licenses()),
		deletePromises(roles()), deletePromises(licenses()), policyPromises(),
		groupPromises(), seatPromises(), permissionPromises(), heldPromises(), groupOwnerPromises(),
		accountPromises(), saveAccountPromises(), sessionPromises(), saveSessionPromises(), signingPromises(),
		foreignPromises(),
		addUsagePromises(), usageCellPromises(), usageEventPromises(), usageCountPromises(), usageRemovalPromises(),
	)
}

// epoch is when every trial begins: a moment with all its digits, so that cutting any of them shows.
func epoch() time.Time {
	return time.Date(2026, time.March, 14, 15, 9, 26, 535*int(time.Millisecond), time.UTC)
}
