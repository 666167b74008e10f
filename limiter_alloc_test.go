//go:build !race

package latchward

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// performance.md: nothing on the way of a request allocates once the budgets are known.
func TestLimiterAllocations(t *testing.T) {
	ctx := t.Context()
	for name, n := range map[string]int64{"log": 100, "runs": 100_000} {
		t.Run(name, func(t *testing.T) {
			l, now, calls := NewLocalLimiter(LocalLimiterOptions{}), Instant(0), int(2*n)
			token := tokenBudget(n, time.Minute)
			token.MaxInFlight = 3
			full := tokenBudgetOf(2, 1)
			one := []Budget{tokenBudgetOf(3, n)}
			several := []Budget{token, {Key: BudgetKey{Kind: BudgetGroup, ID: 1}, Limits: []Limit{
				{Name: "a", N: n, Window: time.Minute}, {Name: "b", N: n, Window: time.Second},
			}}}
			step := Instant(time.Minute)/Instant(n) + 1
			refused := append([]Budget{full}, several...)
			states := make([]LimitState, 0, 8)
			run := func() {
				now += step
				s, r, err := l.Take(ctx, now, 1, one)
				if err != nil || !s.Admitted || r.ID == 0 {
					t.Fatal(s, err)
				}
				if s, r, err = l.Take(ctx, now, 1, several); err != nil || !s.Admitted {
					t.Fatal(s, err)
				}
				_, _, _ = l.Take(ctx, now, 1, refused)
				if _, err = l.Peek(ctx, now, 1, several); err != nil {
					t.Fatal(err)
				}
				if states, err = l.States(ctx, now, 1, several, states[:0]); err != nil || len(states) != 3 {
					t.Fatal(states, err)
				}
				if err = l.Settle(ctx, now, r, several, 0); err != nil {
					t.Fatal(err)
				}
			}
			for range calls {
				run()
			}
			if allocs := testing.AllocsPerRun(1000, run); allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

// bar 48: 2,000,000 budgets, ten calls each, stay under 512 MiB (268 bytes each); after two idle windows all is given
// back, and the budget still in use has lost nothing.
func TestLimiterMemory(t *testing.T) {
	keys := int64(limitScale(100_000, 2_000_000))
	before := heapInUse()
	l := NewLocalLimiter(LocalLimiterOptions{})
	live := tokenBudgetOf(keys, 100)
	for id := range keys {
		budgets := []Budget{tokenBudgetOf(id, 100)}
		for i := range 10 {
			if _, _, err := l.Take(t.Context(), Instant(i), 1, budgets); err != nil {
				t.Fatal(err)
			}
		}
	}
	if l.Len() != int(keys) {
		t.Fatalf("%d budgets, want %d", l.Len(), keys)
	}
	perKey := float64(heapInUse()-before) / float64(keys)
	t.Logf("%.0f bytes per budget with ten calls", perKey)
	if perKey > 512<<20/2e6 {
		t.Errorf("%.0f bytes per budget", perKey)
	}
	now := Instant(110 * time.Second)
	for range 40 {
		_, _, _ = l.Take(t.Context(), now, 1, []Budget{live})
	}
	now = Instant(2*time.Minute + 10)
	l.Sweep(now)
	if s, _, err := l.Take(t.Context(), now, 1, []Budget{live}); err != nil || s.Used != 41 || l.Len() != 1 {
		t.Errorf("%+v, %v, %d budgets", s, err, l.Len())
	}
	if left := heapInUse() - before; left > keys {
		t.Errorf("%d bytes are kept by forgotten budgets", left)
	}
	runtime.KeepAlive(l)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// What a budget costs at most: 3 to 7 bytes per unit counted up to 4096 units, a bounded size for any larger limit.
func TestLimiterWindowMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct{ n, most int64 }{
		{100, 900}, {4096, 22 << 10}, {100_000, 14 << 10}, {10_000_000, 14 << 10},
	} {
		const budgets = 20
		before := heapInUse()
		l := NewLocalLimiter(LocalLimiterOptions{Shards: 1})
		for id := range int64(budgets) {
			budget, now := []Budget{tokenBudgetOf(id, test.n)}, Instant(0)
			for range 20_000 {
				now += Instant(random.Int64N(int64(time.Minute) / 5000))
				_, _, _ = l.Take(t.Context(), now, max(1, test.n/10_000), budget)
			}
		}
		size := (heapInUse() - before) / budgets
		t.Logf("a full limit of %d takes %d bytes", test.n, size)
		if size > test.most {
			t.Errorf("a limit of %d takes %d bytes, want at most %d", test.n, size, test.most)
		}
		runtime.KeepAlive(l)
	}
}
