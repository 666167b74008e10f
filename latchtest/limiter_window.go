package latchtest

import (
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// What a window admits, and when.
func limiterWindowPromises() []limiterPromise {
	return []limiterPromise{
		{"Take/NeverOver", takeNeverOver},
		{"Take/StaleReading", takeStaleReading},
		{"Take/NeverNeedlessly", takeNeverNeedlessly},
		{"Take/Steady", takeSteady},
		{"Take/Concurrent", takeConcurrent},
		{"Take/RefusalIsFree", takeRefusalIsFree},
		{"Take/ResetIsTrue", takeResetIsTrue},
		{"Take/LimitReadAtEachCall", takeLimitReadAtEachCall},
		{"Take/IdleChangesNothing", takeIdleChangesNothing},
	}
}

func takeNeverOver(t *limiterTrial) {
	for _, n := range []int64{1, 10, 97, 20_000} {
		t.restart()
		limiterWalk(t, n, 1000, func(s latchward.LimitState, a admission, before []admission) {
			if used := within(before, a.at, time.Minute); s.Admitted && used+a.cost > n {
				t.Fatalf("%d admitted at %d with %d of %d used in the minute before", a.cost, a.at, used, n)
			}
		})
	}
	lumps := []struct{ first, second time.Duration }{ // each window of some simpler counter is within its limit
		{59900 * time.Millisecond, time.Minute}, {59 * time.Second, 90 * time.Second},
		{500 * time.Millisecond, time.Minute}, {900 * time.Microsecond, time.Minute},
	}
	for _, lump := range lumps {
		t.restart()
		budget := perMinute(1, 10)
		t.pass(lump.first)
		t.holds(10, budget)
		t.pass(lump.second - lump.first)
		t.refuse(1, budget)
	}
}

func takeStaleReading(t *limiterTrial) {
	full, budget := perMinute(1, 1), perMinute(2, 1)
	other := perMinute(3, 1)
	t.admit(1, budget)
	start := t.now
	t.pass(time.Minute)
	t.admit(1, full)
	t.refuse(1, budget, full) // the budget was looked at when its unit had left
	t.now = start.Add(30 * time.Second)
	s, r := t.call(1, budget)
	if s.Admitted && r.At < start.Add(time.Minute) {
		t.Errorf("two calls of one a minute were booked at %d and %d", start, r.At)
	}

	t.now = start
	t.admit(1, other)
	t.now = start.Add(-2 * time.Hour)
	s = t.refuse(1, other)
	if s.Reset < start.Add(time.Minute) {
		t.Errorf("a call with a reading from the past is to be admitted at %d, want %d", s.Reset, start.Add(time.Minute))
	}
}

func takeNeverNeedlessly(t *limiterTrial) {
	for n, slack := range map[int64]time.Duration{1: 0, 10: 0, 100: 0, 20_000: time.Minute / 256} {
		t.restart()
		limiterWalk(t, n, 1000, func(s latchward.LimitState, a admission, before []admission) {
			if used := within(before, a.at, time.Minute+slack); !s.Admitted && used+a.cost <= n {
				t.Fatalf("%d refused at %d with %d of %d used in the minute before", a.cost, a.at, used, n)
			}
		})
	}
}

func takeSteady(t *limiterTrial) {
	for n, cost := range map[int64]int64{1: 1, 7: 1, 60: 4, 997: 1, 30_000: 30} {
		t.restart()
		phase := int64(t.now)%n + 1
		for i := range 2*n/cost + 1 {
			// ⌊(phase + i·cost·minute)/n⌋, which is too large for 64 bits
			at := new(big.Int).Mul(big.NewInt(i*cost), big.NewInt(int64(time.Minute)))
			at.Div(at.Add(at, big.NewInt(phase)), big.NewInt(n))
			t.now = limiterStart.Add(time.Duration(at.Int64()))
			t.admit(cost, perMinute(1, n))
		}
	}
}

func takeConcurrent(t *limiterTrial) {
	var (
		wait      sync.WaitGroup
		mu        sync.Mutex
		remaining []int64
	)
	for range 10 {
		wait.Go(func() {
			for range 30 {
				s, _, err := t.limiter.Take(t.Context(), t.now, 1, []latchward.Budget{perMinute(1, 100)})
				if err != nil {
					t.Errorf("Take: %v", err)
				}
				if s.Admitted {
					mu.Lock()
					remaining = append(remaining, s.Remaining)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	slices.Sort(remaining)
	if len(remaining) != 100 || len(slices.Compact(remaining)) != 100 || remaining[0] != 0 || remaining[99] != 99 {
		t.Errorf("of 300 calls under a limit of 100 were admitted those that saw %v remaining, want 0 to 99", remaining)
	}
}

func takeRefusalIsFree(t *limiterTrial) {
	budget, bystander := perMinute(1, 10), perMinute(2, 10)
	t.holds(10, budget)
	for range 59 {
		t.pass(time.Second)
		t.refuse(1, budget)
		t.refuse(5, bystander, budget)
	}
	t.pass(time.Second)
	t.holds(10, budget)
	t.holds(10, bystander)
}

func takeResetIsTrue(t *limiterTrial) {
	budget := perMinute(1, 10)
	for _, cost := range []int64{1, 4, 10} {
		t.restart()
		for i := range int64(4) {
			t.admit(i+1, budget)
			t.pass(time.Second + 1)
		}
		reset := t.refuse(cost, budget).Reset
		if reset <= t.now {
			t.Fatalf("a refused call is told to come back at %d, now is %d", reset, t.now)
		}
		t.now = reset - 1
		t.refuse(cost, budget)
		t.now = reset
		t.admit(cost, budget)
	}
}

func takeLimitReadAtEachCall(t *limiterTrial) {
	t.admit(500, perMinute(1, 1000))
	s := t.refuse(1, perMinute(1, 10))
	if s.Current != 501 || s.Remaining != 0 || s.N != 10 {
		t.Errorf("500 used of 1000, lowered to 10: %+v, want current 501 and 0 remaining", s)
	}
	t.holds(499, perMinute(1, 999))
	t.pass(time.Minute)
	t.holds(10, perMinute(1, 10))
	t.holds(4990, perMinute(1, 5000)) // beyond what is exact
	t.refuse(1, perMinute(1, 10))
	t.pass(time.Minute + time.Minute/256)
	t.holds(10, perMinute(1, 10))
}

func takeIdleChangesNothing(t *limiterTrial) {
	sweep := func() {
		if s, ok := t.limiter.(interface{ Sweep(now latchward.Instant) }); ok {
			s.Sweep(t.now)
		}
	}
	budget, busy, live := perMinute(1, 10), inFlight(1, 1), perMinute(2, 10)
	t.admit(10, budget)
	_, r := t.admit(1, busy)
	start := t.now
	t.pass(61 * time.Second)
	t.admit(4, live)
	sweep()
	t.holds(6, live)
	t.now = start.Add(2 * time.Minute)
	sweep()
	t.refuse(1, live)
	t.refuse(1, busy)
	t.now = start.Add(30 * time.Second)
	if s, r := t.call(1, budget); s.Admitted && r.At < start.Add(time.Minute) {
		t.Errorf("after an idle time a call was booked at %d, where ten of ten are used", r.At)
	}
	t.now = start.Add(4 * time.Minute)
	t.settle(r, 1, busy)
	sweep()
	t.holds(10, budget)
	t.admit(1, busy)
}
