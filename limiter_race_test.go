package latchward

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// S2-14, bar 35: of 1,000 calls from 200 goroutines under a limit of 100 exactly 100 are admitted, with Remaining 99 to
// 0 once each, and every refusal says 101.
func TestLimiterExactUnderLoad(t *testing.T) {
	for range limitScale(5, 200) {
		l, budgets := NewLocalLimiter(LocalLimiterOptions{}), []Budget{tokenBudget(100, time.Minute)}
		var (
			clock     atomic.Int64
			wait      sync.WaitGroup
			mu        sync.Mutex
			remaining []int64
		)
		for range 200 {
			wait.Go(func() {
				for range 5 {
					s, _, err := l.Take(t.Context(), Instant(clock.Add(1)), 1, budgets)
					if err != nil || !s.Admitted && s.Current != 101 {
						t.Error(s, err)
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
		if len(remaining) != 100 || remaining[0] != 0 || remaining[99] != 99 || len(slices.Compact(remaining)) != 100 {
			t.Fatalf("remaining of the admitted: %v", remaining)
		}
	}
}

// crowd is many goroutines calling one limiter with a clock that runs, jumps, and is read some time before it is used.
type crowd struct {
	l       *LocalLimiter
	clock   atomic.Int64
	mu      sync.Mutex
	settled []crowdCall
}

type crowdCall struct {
	at      Instant
	actual  int64
	budgets []Budget
}

// work makes n calls and settles them, some late, most in a random order.
func (c *crowd) work(t *testing.T, random *rand.Rand, n int, draw func(*rand.Rand) []Budget) {
	type openCall struct {
		receipt Receipt
		budgets []Budget
	}
	var open []openCall
	settle := func(i int) {
		o := open[i]
		open = slices.Delete(open, i, i+1)
		actual := random.Int64N(o.receipt.Cost + 1)
		if err := c.l.Settle(t.Context(), Instant(c.clock.Load()), o.receipt, o.budgets, actual); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settled = append(c.settled, crowdCall{o.receipt.At, actual, o.budgets})
	}
	for range n {
		step := random.Int64N(int64(20 * time.Millisecond))
		if random.IntN(500) == 0 {
			step = random.Int64N(int64(5 * time.Second))
		}
		reading := Instant(c.clock.Add(step))
		if random.IntN(4) == 0 {
			runtime.Gosched()
		}
		budgets := draw(random)
		s, r, err := c.l.Take(t.Context(), reading, 1+random.Int64N(3), budgets)
		if err != nil {
			t.Error(err)
		}
		if s.Admitted {
			open = append(open, openCall{r, budgets})
		}
		if len(open) > 3 || len(open) > 0 && random.IntN(3) == 0 {
			settle(random.IntN(len(open)))
		}
	}
	for len(open) > 0 {
		settle(0)
	}
}

// check fails if any limit was exceeded in any window.
func (c *crowd) check(t *testing.T) {
	slices.SortFunc(c.settled, func(a, b crowdCall) int { return int(a.at - b.at) })
	type limitKey struct {
		key    BudgetKey
		window time.Duration
	}
	windows, used := make(map[limitKey][]crowdCall), make(map[limitKey]int64)
	for _, call := range c.settled {
		for _, b := range call.budgets {
			for _, l := range b.Limits {
				key := limitKey{b.Key, l.Window}
				calls := append(windows[key], call)
				used[key] += call.actual
				for calls[0].at <= call.at-Instant(l.Window) {
					used[key] -= calls[0].actual
					calls = calls[1:]
				}
				if windows[key] = calls; used[key] > l.N {
					t.Errorf("%v: %d used of %d in the %v up to %d", b.Key, used[key], l.N, l.Window, call.at)
				}
			}
		}
	}
}

// B-10, bar 48: with several budgets, settlements, stale readings and a sweeper that never rests, no window of any
// limit is ever exceeded, no cap either, and nothing is left over.
func TestLimiterUnderSweeper(t *testing.T) {
	limitSeeds(t, limitScale(2, 50), func(t *testing.T, random *rand.Rand) {
		budget := func(kind BudgetKind, id int64, n int64, inFlight int32) Budget {
			return Budget{Key: BudgetKey{Kind: kind, ID: id}, MaxInFlight: inFlight, Limits: []Limit{
				{Name: "short", N: n, Window: 200 * time.Millisecond}, {Name: "long", N: 3 * n, Window: time.Second},
			}}
		}
		group, owner := budget(BudgetGroup, 1, 40, 20), budget(BudgetOwner, 1, 30, 0)
		tokens := []Budget{budget(BudgetToken, 1, 10, 0), budget(BudgetToken, 2, 20, 5), budget(BudgetToken, 3, 50, 0)}
		draw := func(random *rand.Rand) []Budget {
			budgets := []Budget{tokens[random.IntN(3)], owner, group}
			random.Shuffle(3, func(i, j int) { budgets[i], budgets[j] = budgets[j], budgets[i] })
			return budgets[:1+random.IntN(3)]
		}
		c := &crowd{l: NewLocalLimiter(LocalLimiterOptions{Shards: 2, ExactMax: 60})}
		var workers, sweeper sync.WaitGroup
		done := make(chan struct{})
		sweeper.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					c.l.Sweep(Instant(c.clock.Load()))
					runtime.Gosched()
				}
			}
		})
		for range 16 {
			own := rand.New(rand.NewPCG(random.Uint64(), 0))
			workers.Go(func() { c.work(t, own, limitScale(500, 3000), draw) })
		}
		workers.Wait()
		close(done)
		sweeper.Wait()
		c.check(t)
		c.l.Sweep(Instant(c.clock.Load()).Add(time.Minute))
		if c.l.Len() != 0 {
			t.Errorf("%d budgets are left, calls in flight were not settled", c.l.Len())
		}
		t.Logf("%d calls admitted in %v", len(c.settled), time.Duration(c.clock.Load()))
	})
}

// S2-14, B-10: at most MaxInFlight calls are in flight at any time.
func TestLimiterInFlightUnderLoad(t *testing.T) {
	const most = 7
	l := NewLocalLimiter(LocalLimiterOptions{})
	budgets := []Budget{{Key: BudgetKey{Kind: BudgetToken, ID: 1}, MaxInFlight: most}}
	var inFlight, peak, admitted atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			for range 100 {
				s, r, err := l.Take(t.Context(), 5, 1, budgets)
				if err != nil {
					t.Error(err)
				}
				if !s.Admitted {
					continue
				}
				admitted.Add(1)
				peak.Store(max(peak.Load(), inFlight.Add(1)))
				runtime.Gosched()
				inFlight.Add(-1)
				if err := l.Settle(t.Context(), 5, r, budgets, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if peak.Load() > most || admitted.Load() == 0 {
		t.Errorf("%d calls in flight at once of %d admitted, want at most %d", peak.Load(), admitted.Load(), most)
	}
}
