package latchward

import "sync/atomic"

// limiterCall is one call of a LocalLimiter, from taking the locks of its budgets to letting them go. It lives on the
// stack of its caller.
type limiterCall struct {
	limiter *LocalLimiter
	now     Instant // from lockAll on: the latest instant any of the budgets has seen
	cost    int64
	budgets []Budget
	single  Budget                  // the only one where budgets is nil: a slice of one would be moved to the heap
	size    int                     // how many budgets there are
	place   *atomic.Pointer[bucket] // where the caller keeps the bucket of the first; nil = nowhere
	held    [MaxBudgets]heldBucket  // count of them, in the order of their keys
	count   int
}

type heldBucket struct {
	bucket *bucket // locked; nil if there is none
	index  int     // of its budget
}

// newCall returns a call that has not begun.
func (l *LocalLimiter) newCall(now Instant, cost int64, budgets []Budget) limiterCall {
	return limiterCall{limiter: l, now: now, cost: cost, budgets: budgets, size: len(budgets)}
}

// budget returns the i-th budget.
func (c *limiterCall) budget(i int) *Budget {
	if c.budgets == nil {
		return &c.single
	}
	return &c.budgets[i]
}

// take books the call or describes why not.
func (c *limiterCall) take(s *LimitState, r *Receipt) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	if !c.refused(s) {
		c.book(r)
		c.admitted(s)
	}
	return nil
}

// begin checks the arguments, locks the budgets and moves them to one common instant.
func (c *limiterCall) begin() error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.lockAll(true); err != nil {
		return err
	}
	for i := range c.count {
		h := &c.held[i]
		if err := h.bucket.advance(c.now, c.budget(h.index).Limits, c.limiter.maxFlight); err != nil {
			c.end()
			return err
		}
	}
	return nil
}

// end lets the budgets go.
func (c *limiterCall) end() { c.unlock(c.count) }

func (c *limiterCall) check() error {
	if c.cost < 1 {
		return Invalid("cost", "The cost of a call must be 1 or more.")
	}
	for i := range c.size {
		limits := c.budget(i).Limits
		for j := range limits {
			if l := &limits[j]; c.cost > l.N {
				return Invalid("cost", "The cost of a call must be at most %d, the limit %q: it could never pass.", l.N, l.Name)
			}
		}
	}
	return nil
}

// lockAll locks the buckets of all budgets, in the order of their keys: with one global order nobody waits in a circle.
// No shard is locked by anyone who holds a bucket, so a bucket may have been swept by the time it is locked; then all
// are looked up again.
func (c *limiterCall) lockAll(create bool) error {
	if c.now < 0 || c.now > maxInstant {
		return Invalid("now", "The clock reading %d is no instant.", c.now)
	}
	if err := c.arrange(); err != nil {
		return err
	}
	for !c.tryLockAll(create) {
	}
	return nil
}

// arrange fills held with the budgets that bound anything, sorted by key.
func (c *limiterCall) arrange() error {
	if c.size > MaxBudgets {
		return Invalid("budgets", "A call has at most %d budgets.", MaxBudgets)
	}
	for i := range c.size {
		budget := c.budget(i)
		if !budget.bounds() {
			continue
		}
		key, at := budget.Key.word(), c.count
		for ; at > 0 && c.key(at-1) >= key; at-- {
			if c.key(at-1) == key {
				return Invalid("budgets", "The budget %v is there twice.", budget.Key)
			}
			c.held[at] = c.held[at-1]
		}
		c.held[at] = heldBucket{index: i}
		c.count++
	}
	return nil
}

func (c *limiterCall) key(i int) uint64 { return c.budget(c.held[i].index).Key.word() }

func (c *limiterCall) tryLockAll(create bool) bool {
	for i := range c.count {
		c.held[i].bucket = c.find(i, create)
	}
	for i := range c.count {
		b := c.held[i].bucket
		if b == nil {
			continue
		}
		b.mu.Lock()
		if b.seen == dead {
			c.unlock(i + 1)
			if c.place != nil {
				c.place.CompareAndSwap(b, nil)
			}
			return false
		}
		c.now = max(c.now, b.seen)
	}
	return true
}

// find returns the bucket of the i-th held budget; nil if there is none and none is to be created.
func (c *limiterCall) find(i int, create bool) *bucket {
	kept := c.place != nil && c.held[i].index == 0
	if kept {
		if b := c.place.Load(); b != nil {
			return b
		}
	}
	key := c.key(i)
	b := c.limiter.shards[c.limiter.shardOf(key)].bucket(key, create)
	if kept {
		c.place.Store(b)
	}
	return b
}

// unlock lets the first n of the held buckets go.
func (c *limiterCall) unlock(n int) {
	for i := range n {
		if b := c.held[i].bucket; b != nil {
			b.mu.Unlock()
		}
	}
}

// bucketOf returns the bucket of the i-th budget; nil if it bounds nothing.
func (c *limiterCall) bucketOf(i int) *bucket {
	for at := range c.count {
		if c.held[at].index == i {
			return c.held[at].bucket
		}
	}
	return nil
}

// refused tells whether any limit is violated, and describes the one with the latest Reset.
func (c *limiterCall) refused(worst *LimitState) (refused bool) {
	for i := range c.count {
		b, index := c.held[i].bucket, c.held[i].index
		budget := c.budget(index)
		for j := range budget.Limits {
			if b.window(j).used() <= budget.Limits[j].N-c.cost {
				continue
			}
			var s LimitState
			c.describe(&s, b, index, j)
			c.judge(&s, b)
			if !refused || s.Reset > worst.Reset {
				*worst, refused = s, true
			}
		}
		if full := budget.MaxInFlight > 0 && b.inFlight() >= int(budget.MaxInFlight); full && !refused {
			c.describeFlights(worst, b, index)
			refused = true
		}
	}
	return refused
}

// describe describes the j-th limit of the i-th budget, whose bucket is b, to a call that it admits.
func (c *limiterCall) describe(s *LimitState, b *bucket, i, j int) {
	w, n := b.window(j), c.budget(i).Limits[j].N
	used := w.used()
	s.Admitted, s.InFlight, s.Budget, s.Limit = true, false, i, j
	s.N, s.Used, s.Current, s.Remaining, s.Reset = n, used, used, max(0, n-used), c.now
	if used > 0 {
		s.Reset = w.leaves(1, c.now)
	}
}

// judge changes the description of a limit, before anything is booked, to a refusal if it is one.
func (c *limiterCall) judge(s *LimitState, b *bucket) {
	if short := s.Used + c.cost - s.N; short > 0 {
		s.Admitted, s.Current = false, s.Used+c.cost
		s.Reset = b.window(s.Limit).leaves(short, c.now)
	}
}

// describeFlights describes the cap on calls in flight when it is reached. Nobody knows when a place becomes free.
func (c *limiterCall) describeFlights(s *LimitState, b *bucket, i int) {
	n, used := int64(c.budget(i).MaxInFlight), int64(b.inFlight())
	*s = LimitState{InFlight: true, Budget: i, Limit: -1, N: n, Used: used, Current: used + 1, Reset: c.now}
}

// book counts the call everywhere.
func (c *limiterCall) book(r *Receipt) {
	r.At, r.Cost = c.now, c.cost
	if c.count > 0 {
		r.ID = c.limiter.nameCall(c.key(0))
	}
	for i := range c.count {
		b, budget := c.held[i].bucket, c.budget(c.held[i].index)
		for j := range budget.Limits {
			b.window(j).book(c.now, c.cost, budget.Limits[j].N, c.limiter.exactMax)
		}
		if budget.MaxInFlight > 0 {
			b.takeOff(c.now, r.ID)
		}
	}
}

// admitted describes the first limit of the first budget, or else the limit with the fewest units remaining.
func (c *limiterCall) admitted(s *LimitState) {
	if c.size > 0 && len(c.budget(0).Limits) > 0 {
		c.describe(s, c.bucketOf(0), 0, 0)
		return
	}
	*s = LimitState{Admitted: true, Budget: -1, Limit: -1, Reset: c.now}
	for i := range c.size {
		for j := range c.budget(i).Limits {
			var other LimitState
			if c.describe(&other, c.bucketOf(i), i, j); s.Limit < 0 || other.Remaining < s.Remaining {
				*s = other
			}
		}
	}
}
