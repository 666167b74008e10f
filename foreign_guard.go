package latchward

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// How often strings that are not ours are looked up, or compared with slow digests. Only those that turn out to be
// unknown count, so that a thousand devices behind one address may all come back at once.
const (
	foreignWindow       = time.Minute
	lookupsPerAddress   = 100    // of strings that are unknown
	lookupsOfNowhere    = 1000   // by verifiers that do not tell the client's address
	lookupsOfAll        = 60_000 // a thousand reads a second are nothing to a database
	attemptsPerPrefix   = 10     // with slow digests
	attemptsOfAddress   = 30
	slowAtOnce          = 2 // digests: each takes a processor for as long as a tenth of a second
	slowWaiting         = 16
	slowTimeout         = 10 * time.Second
	throttleName        = "unknown_credentials"
	slowName            = "slow_digests"
	throttleAddressName = "lookups "
	throttleSlowName    = "slow "
)

// foreignGuard keeps strings that are not ours from wearing down the database and the processor. Secrets of our own
// never come here.
type foreignGuard struct {
	limiter *LocalLimiter
	seed    maphash.Seed
	turns   chan struct{}
	waiting atomic.Int32
	moving  atomic.Bool // a digest is being renewed
}

func newForeignGuard() *foreignGuard {
	return &foreignGuard{
		limiter: NewLocalLimiter(LocalLimiterOptions{}), seed: maphash.MakeSeed(), turns: make(chan struct{}, slowAtOnce),
	}
}

// throttle is why a string was not looked up; the zero throttle means that it may be.
type throttle struct {
	limit   int64
	current int64
	reset   Instant
	name    string
}

func (t throttle) refused() bool { return t.name != "" }

// lookup counts a look-up of a string that is not known. Call known when it turns out to be a secret.
func (g *foreignGuard) lookup(now Instant, address netip.Addr) (known func(), t throttle) {
	most, place := int64(lookupsOfNowhere), throttleAddressName
	if address.IsValid() {
		most, place = lookupsPerAddress, place+neighbourhood(address)
	}
	return g.take(now, throttleName, g.budget(BudgetGroup, place, most), g.budget(BudgetOwner, "", lookupsOfAll))
}

// attempt counts an attempt to be one of the secrets with a lookup prefix. Call known when it succeeds.
func (g *foreignGuard) attempt(now Instant, prefix string, address netip.Addr) (known func(), t throttle) {
	budgets := []Budget{g.budget(BudgetToken, prefix, attemptsPerPrefix)}
	if address.IsValid() {
		budgets = append(budgets, g.budget(BudgetGroup, throttleSlowName+neighbourhood(address), attemptsOfAddress))
	}
	return g.take(now, throttleName, budgets...)
}

func (g *foreignGuard) take(now Instant, name string, budgets ...Budget) (known func(), t throttle) {
	ctx := context.Background()
	state, receipt, err := g.limiter.Take(ctx, now, 1, budgets) // fails for arguments that can never be right; these are
	if err == nil && !state.Admitted {
		return func() {}, throttle{limit: state.N, current: state.Current, reset: state.Reset, name: name}
	}
	return func() { _ = g.limiter.Settle(ctx, now, receipt, budgets, 0) }, throttle{}
}

// budget hashes what it counts by under a seed of this process, so that nobody can choose what is counted together.
func (g *foreignGuard) budget(kind BudgetKind, text string, n int64) Budget {
	var h maphash.Hash
	h.SetSeed(g.seed)
	h.WriteString(text)
	return Budget{
		Key:    BudgetKey{Kind: kind, ID: int64(binary.BigEndian.Uint64(h.Sum(nil)) >> (64 - budgetIDBits))},
		Limits: []Limit{{Name: throttleName, N: n, Window: foreignWindow}},
	}
}

// turn waits for one of the turns to make slow digests. Too many others waiting is a throttle.
func (g *foreignGuard) turn(ctx context.Context, now Instant) (end func(), t throttle, err error) {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > slowWaiting {
		full := throttle{limit: slowAtOnce, current: slowAtOnce + 1, reset: now + Instant(time.Second), name: slowName}
		return nil, full, nil
	}
	select {
	case g.turns <- struct{}{}:
		return func() { <-g.turns }, throttle{}, nil
	case <-ctx.Done():
		err = &Error{Code: CodeUnavailable, Message: "The token could not be checked in time.", Err: ctx.Err()}
		return nil, throttle{}, err
	}
}
