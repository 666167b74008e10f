package latchward

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"strings"
	"time"
)

// How many times somebody may be checked who wants to sign in (bar 117). What is refused costs nothing and counts for
// nothing.
const (
	attemptWindow      = 15 * time.Minute
	attemptsPerAccount = 10 // by everybody who is not known to be its owner
	attemptsPerDevice  = 10 // on each browser that the owner has signed in on before
	attemptsPerAddress = 50
)

// attempts counts checks of passwords and codes. What it counts by is hashed under a seed of this process, so that
// nobody outside can choose what is counted together.
type attempts struct {
	limiter *LocalLimiter
	seed    maphash.Seed
}

func newAttempts() *attempts {
	return &attempts{limiter: NewLocalLimiter(LocalLimiterOptions{}), seed: maphash.MakeSeed()}
}

// attempt is what a check counts for.
type attempt struct {
	account string        // the e-mail as typed, so that unknown ones are counted alike
	device  AccountDigest // a browser that is known to be the owner's; zero = none
	address netip.Addr
}

// take counts a check, or refuses it with an Error of code exhausted. A check that succeeds is no guess: call proven
// then, and it counts for nothing.
func (a *attempts) take(ctx context.Context, now Instant, t attempt) (proven func(), err error) {
	budgets := a.budgets(t)
	state, receipt, err := a.limiter.Take(ctx, now, 1, budgets)
	if err == nil && !state.Admitted {
		err = Errorf(CodeExhausted, "Too many attempts. Try again in %d minutes, or on a device where you signed in before.",
			attemptWindow/time.Minute)
	}
	return func() { _ = a.limiter.Settle(ctx, now, receipt, budgets, 0) }, err // cannot fail with these
}

func (a *attempts) budgets(t attempt) []Budget {
	if t.device != (AccountDigest{}) {
		return []Budget{a.budget(BudgetToken, string(t.device[:]), attemptsPerDevice)}
	}
	budgets := []Budget{a.budget(BudgetOwner, strings.ToLower(strings.TrimSpace(t.account)), attemptsPerAccount)}
	if t.address.IsValid() {
		budgets = append(budgets, a.budget(BudgetGroup, neighbourhood(t.address), attemptsPerAddress))
	}
	return budgets
}

func (a *attempts) budget(kind BudgetKind, text string, n int64) Budget {
	var h maphash.Hash
	h.SetSeed(a.seed)
	h.WriteString(text)
	return Budget{
		Key:    BudgetKey{Kind: kind, ID: int64(binary.BigEndian.Uint64(h.Sum(nil)) >> (64 - budgetIDBits))},
		Limits: []Limit{{Name: "attempts", N: n, Window: attemptWindow}},
	}
}

// neighbourhood is the part of an address that one customer of a network has: all of IPv4, a /64 of IPv6.
func neighbourhood(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, _ := address.Prefix(64) // an address of IPv6 has one
	return prefix.String()
}
