package latchward

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// LocalLimiterOptions are the options of a [LocalLimiter].
type LocalLimiterOptions struct {
	// ExactMax is the largest N whose window is exact; 0 is 4096, the most is 1<<20. Such a window costs 3 to 7 bytes
	// per unit counted, a larger one at most 13 kB, and counts a unit up to 1/256 of the window too long.
	ExactMax int64
	// Shards is the number of parts the budgets are spread over, rounded up to a power of two; 0 is 256, the most 4096.
	Shards int
	// MaxFlight bounds how long a call that nobody settles counts as in flight; 0 is 24 hours.
	MaxFlight time.Duration
}

const (
	defaultExactMax  = 4096
	maxExactMax      = 1 << 20
	defaultShards    = 256
	shardBits        = 12 // of a receipt's ID: which shard counted the call
	defaultMaxFlight = 24 * time.Hour
)

// LocalLimiter is the [Limiter] of one process: exact for every N up to ExactMax, and beyond that never over and less
// than 1/256 of the window late. It forgets everything when the process ends, and keeps memory for what was admitted in
// the windows, not for what limits would allow. It blocks on nothing but the locks of its budgets and heeds no context.
//
// Somebody has to call Sweep from time to time, or budgets that are used no more stay in memory.
type LocalLimiter struct {
	shards    []shard
	shift     uint // of a key's hash, to get the index of its shard
	exactMax  int64
	maxFlight time.Duration
}

var _ Limiter = (*LocalLimiter)(nil)

// NewLocalLimiter returns a limiter that has admitted nothing yet.
func NewLocalLimiter(o LocalLimiterOptions) *LocalLimiter {
	if o.ExactMax <= 0 {
		o.ExactMax = defaultExactMax
	}
	if o.Shards <= 0 {
		o.Shards = defaultShards
	}
	if o.MaxFlight <= 0 {
		o.MaxFlight = defaultMaxFlight
	}
	width := min(bits.Len(uint(o.Shards-1)), shardBits)
	return &LocalLimiter{
		shards:    make([]shard, 1<<width),
		shift:     uint(64 - width),
		exactMax:  min(o.ExactMax, maxExactMax),
		maxFlight: o.MaxFlight,
	}
}

// Take implements [Limiter].
func (l *LocalLimiter) Take(
	_ context.Context, now Instant, cost int64, budgets []Budget,
) (s LimitState, r Receipt, err error) {
	c := l.newCall(now, cost, budgets)
	err = c.take(&s, &r)
	return s, r, err
}

// takeAt is Take for a caller that never settles, has one budget and keeps where its bucket is, which saves looking it
// up. The place starts out empty and must be used with one limiter and one budget's key. s must be zero.
func (l *LocalLimiter) takeAt(
	place *atomic.Pointer[bucket], now Instant, cost int64, budget Budget, s *LimitState,
) error {
	var r Receipt
	c := limiterCall{limiter: l, now: now, cost: cost, single: budget, size: 1, place: place}
	return c.take(s, &r)
}

// Settle implements [Limiter]. A receipt can be settled for less until 262,144 later calls have been admitted in its
// shard; after that its units stay charged until they leave their windows. Its place in flight becomes free whenever.
func (l *LocalLimiter) Settle(_ context.Context, now Instant, r Receipt, budgets []Budget, actual int64) error {
	if r.ID == 0 {
		return nil
	}
	c := l.newCall(now, 0, budgets)
	if err := c.lockAll(false); err != nil {
		return err
	}
	defer c.end()
	inRange := actual >= 0 && actual <= r.Cost
	back := int64(0)
	if l.settleOnce(r.ID) && inRange {
		back = r.Cost - actual
	}
	for i := range c.count {
		if b := c.held[i].bucket; b != nil {
			b.settle(r, c.now, back)
		}
	}
	if !inRange {
		return Invalid("actual", "A call that booked %d must settle with 0 to %d; it keeps its full charge.", r.Cost, r.Cost)
	}
	return nil
}

// Peek implements [Limiter].
func (l *LocalLimiter) Peek(_ context.Context, now Instant, cost int64, budgets []Budget) (s LimitState, err error) {
	c := l.newCall(now, cost, budgets)
	if err = c.begin(); err != nil {
		return s, err
	}
	defer c.end()
	if !c.refused(&s) {
		c.admitted(&s)
	}
	return s, nil
}

// States implements [Limiter]. It allocates nothing when dst has room.
func (l *LocalLimiter) States(
	_ context.Context, now Instant, cost int64, budgets []Budget, dst []LimitState,
) ([]LimitState, error) {
	c := l.newCall(now, cost, budgets)
	if err := c.begin(); err != nil {
		return dst, err
	}
	defer c.end()
	for i := range budgets {
		b := c.bucketOf(i)
		for j := range budgets[i].Limits {
			var s LimitState
			c.describe(&s, b, i, j)
			c.judge(&s, b)
			dst = append(dst, s)
		}
	}
	return dst, nil
}

// Sweep forgets the budgets that have been idle for two of their longest windows, which changes no decision. It looks
// at every budget; calling it every ten seconds or so is enough. It is safe for concurrent use.
func (l *LocalLimiter) Sweep(now Instant) {
	for i := range l.shards {
		l.shards[i].sweep(now, l.maxFlight)
	}
}

// Len returns how many budgets are in memory.
func (l *LocalLimiter) Len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.RLock()
		n += s.buckets.count
		s.mu.RUnlock()
	}
	return n
}

// shardOf returns the index of the shard of a key: the top bits of its hash.
func (l *LocalLimiter) shardOf(key uint64) uint64 { return key * goldenBits >> l.shift }

// nameCall returns an ID for a call: the number it has in the shard of key, and the shard.
func (l *LocalLimiter) nameCall(key uint64) uint64 {
	i := l.shardOf(key)
	return l.shards[i].calls.Add(1)<<shardBits | i
}

// settleOnce tells whether the call is settled for the first time.
func (l *LocalLimiter) settleOnce(id uint64) bool {
	i := id & (1<<shardBits - 1)
	return i < uint64(len(l.shards)) && l.shards[i].settled.mark(id>>shardBits)
}
