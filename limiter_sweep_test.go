package latchward

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bar 48: an idle budget is forgotten after two of its longest windows, not before; one in flight never.
func TestLimiterSweep(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{})
	plain, long, capped := tokenBudgetOf(1, 5), tokenBudgetOf(2, 5), tokenBudgetOf(3, 5)
	long.Limits = append(long.Limits, Limit{Name: "hour", N: 9, Window: time.Hour})
	capped.MaxInFlight = 1
	w.take(true, 5, plain)
	w.take(true, 5, long)
	_, r := w.take(true, 5, capped)
	start := w.now
	for _, step := range []struct {
		at   time.Duration
		left int
	}{
		{2*time.Minute - 1, 3}, {2 * time.Minute, 2}, {2*time.Hour - 1, 2}, {2 * time.Hour, 1}, {23 * time.Hour, 1},
	} {
		w.l.Sweep(start.Add(step.at))
		w.is("Len", w.l.Len(), step.left)
	}
	w.now = start.Add(23 * time.Hour)
	w.take(false, 1, capped)
	w.settle(r, 0, capped)
	w.l.Sweep(w.now)
	w.is("Len", w.l.Len(), 0)
	_, _ = w.take(true, 5, capped)
	w.l.Sweep(w.now.Add(24 * time.Hour)) // MaxFlight
	w.is("Len", w.l.Len(), 0)
}

// A budget that refused calls only, or was only peeked at, is forgotten as well.
func TestLimiterSweepUnused(t *testing.T) {
	w, full := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudgetOf(7, 1)
	w.take(true, 1, full)
	for id := range int64(5) {
		w.take(false, 1, tokenBudgetOf(id, 5), full)
	}
	w.is("Len", w.l.Len(), 6)
	w.l.Sweep(w.now)
	w.is("Len", w.l.Len(), 1)
}

// A shard that has lost most of its buckets gives memory back and keeps what is left.
func TestLimiterSweepShrinks(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{Shards: 1})
	for id := range int64(1000) {
		w.take(true, 5, tokenBudgetOf(id, 5))
	}
	w.now = w.now.Add(90 * time.Second)
	for id := range int64(100) {
		w.take(true, 5, tokenBudgetOf(id, 5))
	}
	w.is("chains", len(w.l.shards[0].buckets.chains), 1024)
	w.now = w.now.Add(31 * time.Second)
	w.l.Sweep(w.now)
	w.is("Len", w.l.Len(), 100)
	w.is("chains", len(w.l.shards[0].buckets.chains), 256)
	for id := range int64(100) {
		w.take(false, 1, tokenBudgetOf(id, 5))
	}
}

// A bucket that somebody holds is left alone; one that was swept between look-up and lock is looked up again.
func TestLimiterSweptInBetween(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{Shards: 1}), tokenBudgetOf(1, 5)
	other := tokenBudgetOf(2, 5)
	w.takeN(1, b, other)
	s := &w.l.shards[0]
	held := s.bucket(b.Key.word(), false)
	held.mu.Lock()
	w.now = w.now.Add(time.Hour)
	w.l.Sweep(w.now)
	held.mu.Unlock()
	w.is("Len", w.l.Len(), 1)

	c := w.l.newCall(w.now, 0, []Budget{b, other})
	if err := c.arrange(); err != nil {
		t.Fatal(err)
	}
	w.l.Sweep(w.now)
	s.buckets.add(held) // as a caller sees it that has looked it up already
	w.is("locked a dead bucket", c.tryLockAll(true), false)
	w.is("left a lock", held.mu.TryLock(), true)
	held.mu.Unlock()
	s.buckets.removeIf(func(b *bucket) bool { return b == held })
	w.is("looked up again", c.tryLockAll(true), true)
	c.end()
}

// A window whose length is edited starts with what the others know of its time.
func TestLimiterWindowsEdited(t *testing.T) {
	limits := func(windows ...time.Duration) Budget {
		b := Budget{Key: BudgetKey{Kind: BudgetToken, ID: 1}}
		for _, window := range windows {
			b.Limits = append(b.Limits, Limit{Name: window.String(), N: 1000, Window: window})
		}
		return b
	}
	for _, exactMax := range []int64{0, 1} {
		w := newLimiterWorld(t, LocalLimiterOptions{ExactMax: exactMax})
		used := func(b Budget) (used []int64) {
			states, err := w.l.States(t.Context(), w.now, 1, []Budget{b}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range states {
				used = append(used, s.Used)
			}
			return used
		}
		for i := range 10 { // at 0 s, 6 s, ..., 54 s
			w.takeN(i+1, limits(time.Minute, time.Hour))
			w.now = w.now.Add(6 * time.Second)
		}
		w.now--
		for _, step := range []struct {
			windows []time.Duration
			want    []int64
		}{
			{[]time.Duration{time.Hour, time.Minute}, []int64{55, 55}},
			{[]time.Duration{time.Minute, 24 * time.Hour, time.Hour}, []int64{55, 55, 55}},
			{[]time.Duration{12 * time.Second}, []int64{19}},
			{[]time.Duration{time.Second, time.Hour}, []int64{0, 19}},
			{[]time.Duration{time.Second, time.Minute, time.Hour}, []int64{0, 19, 19}},
			{nil, nil},
			{[]time.Duration{time.Hour}, []int64{19}}, // without limits nothing looked at the budget
		} {
			if got := used(limits(step.windows...)); !slices.Equal(got, step.want) {
				t.Errorf("exactMax %d, windows %v: %v used, want %v", exactMax, step.windows, got, step.want)
			}
		}
	}
}

// Callers that keep the place of a bucket count in the same one as those who look it up, and in the new one after the
// old one was swept.
func TestLimiterTakeAtAfterSweep(t *testing.T) {
	w, budget := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudgetOf(1, 5)
	var first, second atomic.Pointer[bucket]
	takeAt := func(place *atomic.Pointer[bucket], admitted bool, used int64) {
		t.Helper()
		var s LimitState
		err := w.l.takeAt(place, w.now, 2, budget, &s)
		if err != nil || s.Admitted != admitted || s.Used != used {
			t.Errorf("%+v, %v; want admitted %t, used %d", s, err, admitted, used)
		}
	}
	for range 2 {
		takeAt(&first, true, 2)
		takeAt(&second, true, 4)
		w.take(true, 1, budget)
		takeAt(&first, false, 5)
		w.is("same bucket", first.Load() == second.Load(), true)
		w.now = w.now.Add(2 * time.Minute)
		w.l.Sweep(w.now)
		w.is("Len", w.l.Len(), 0)
	}
	takeAt(&second, true, 2)
	w.is("first is renewed when it is used next", first.Load() != second.Load(), true)
	w.take(true, 3, budget)
	takeAt(&first, false, 5)
	w.is("same bucket", first.Load() == second.Load(), true)
}

// Concurrent: nobody gets through twice because a bucket is swept while callers keep its place.
func TestLimiterTakeAtWhileSweeping(t *testing.T) {
	const n, callers, rounds = 3, 4, 300
	l, budget := NewLocalLimiter(LocalLimiterOptions{}), tokenBudgetOf(1, n)
	var place atomic.Pointer[bucket]
	for round := range rounds {
		now := Instant(round) * Instant(2*time.Minute)
		var admitted atomic.Int64
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				l.Sweep(now)
				for range n {
					var s LimitState
					if err := l.takeAt(&place, now, 1, budget, &s); err == nil && s.Admitted {
						admitted.Add(1)
					}
				}
			})
		}
		group.Wait()
		if got := admitted.Load(); got != n {
			t.Fatalf("round %d admitted %d, want %d", round, got, n)
		}
	}
}
