package httpauth

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/latchward/latchward"
)

const (
	attemptWindow = time.Minute
	guardSlots    = 1 << 16 // addresses share slots beyond this many, so that no flood takes more memory
	guardSweep    = int64(10 * time.Second)
)

// Guard counts unproven attempts (invalid credentials) by client address: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer gets. It bounds guessing and nothing else: ask it after the credential was found
// unproven, never before, so that a valid token is never refused for its address's neighbours (C-02).
//
// Its memory is bounded whatever addresses come. A nil *Guard never is exhausted. It is safe for concurrent use.
type Guard struct {
	limiter *latchward.LocalLimiter
	limits  []latchward.Limit
	now     func() time.Time
	start   time.Time
	swept   atomic.Int64 // when the limiter was last swept, in nanoseconds from start
	seed    maphash.Seed // secret, so that nobody can choose an address that shares somebody's slot
}

// NewGuard allows perMinute unproven attempts from one address in any minute; 0 and below are no limit. A nil now is
// time.Now.
func NewGuard(perMinute int64, now func() time.Time) *Guard {
	if now == nil {
		now = time.Now
	}
	g := &Guard{
		limiter: latchward.NewLocalLimiter(latchward.LocalLimiterOptions{}),
		now:     now, start: now(), seed: maphash.MakeSeed(),
	}
	if perMinute > 0 {
		g.limits = []latchward.Limit{{Name: "attempts", N: min(perMinute, latchward.MaxLimitN), Window: attemptWindow}}
	}
	return g
}

// Exhausted reports whether address has used up its attempts.
func (g *Guard) Exhausted(address netip.Addr) bool {
	if g == nil {
		return false
	}
	state, err := g.limiter.Peek(context.Background(), g.instant(), 1, g.budgets(address))
	return err == nil && !state.Admitted
}

// Refuse answers a refused request: by [WriteVerdict], but once address has used up its attempts with credentials that
// are no good, by WriteExhausted. It counts the attempt.
func (g *Guard) Refuse(w http.ResponseWriter, v *latchward.Verdict, address netip.Addr) {
	g.refuse(w, v, address, "")
}

// refuse is Refuse with what the caller lacks, for people; "" when that cannot be told.
func (g *Guard) refuse(w http.ResponseWriter, v *latchward.Verdict, address netip.Addr, missing string) {
	switch v.Reason {
	case latchward.ReasonMalformed, latchward.ReasonNotFound, latchward.ReasonRevoked:
		if !g.Attempt(address) {
			g.WriteExhausted(w)
			return
		}
	}
	writeVerdict(w, v, missing)
}

// Failed counts one unproven attempt from address.
func (g *Guard) Failed(address netip.Addr) { g.Attempt(address) }

// Attempt counts one attempt from address and reports whether it had any left. On its own it bounds what every caller
// may try whatever comes of it.
func (g *Guard) Attempt(address netip.Addr) bool {
	if g == nil {
		return true
	}
	now := g.instant()
	if last := g.swept.Load(); int64(now)-last > guardSweep && g.swept.CompareAndSwap(last, int64(now)) {
		g.limiter.Sweep(now)
	}
	state, _, err := g.limiter.Take(context.Background(), now, 1, g.budgets(address))
	return err != nil || state.Admitted // it fails for arguments that can never be right; these are
}

// WriteExhausted answers an unproven attempt from an address that has used up its attempts. It says the same whatever
// was wrong with the credential.
func (g *Guard) WriteExhausted(w http.ResponseWriter) {
	p := problemOf(http.StatusTooManyRequests, string(latchward.CodeExhausted), "Too many invalid credentials")
	p.Detail = "Too many requests with invalid credentials came from this address. Wait a minute, then send a valid one."
	p.RetryAfter = int64(attemptWindow / time.Second)
	WriteProblem(w, &p)
}

func (g *Guard) instant() latchward.Instant { return latchward.Instant(max(0, g.now().Sub(g.start))) }

func (g *Guard) budgets(address netip.Addr) []latchward.Budget {
	return []latchward.Budget{{
		Key:    latchward.BudgetKey{Kind: latchward.BudgetOwner, ID: g.slot(address)},
		Limits: g.limits,
	}}
}

// slot returns the slot that address shares with whatever else hashes to it. Addresses that are not known share one.
func (g *Guard) slot(address netip.Addr) int64 {
	address = address.Unmap()
	bytes := address.As16()
	if !address.Is4() {
		binary.BigEndian.PutUint64(bytes[8:], 0) // the host part of a /64
	}
	return int64(maphash.Bytes(g.seed, bytes[:]) % guardSlots)
}
