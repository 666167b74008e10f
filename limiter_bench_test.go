package latchward

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// The benchmarks stand beside a twin, the least that any limiter in a map could cost: a generic cell rate algorithm
// (GCRA) in a sharded map under a mutex, which admits up to 2N in a window. Only ratios of one run mean anything.

type twinShard struct {
	mu    sync.Mutex
	cells map[uint64]*Instant
}

type twinLimiter struct{ shards [256]twinShard }

func newTwin() *twinLimiter {
	l := new(twinLimiter)
	for i := range l.shards {
		l.shards[i].cells = make(map[uint64]*Instant)
	}
	return l
}

func (l *twinLimiter) take(now Instant, key uint64, limit *Limit) bool {
	s := &l.shards[key*0x9E3779B97F4A7C15>>56]
	s.mu.Lock()
	defer s.mu.Unlock()
	cell := s.cells[key]
	if cell == nil {
		cell = new(Instant)
		s.cells[key] = cell
	}
	step := Instant(limit.Window) / Instant(limit.N)
	next := max(*cell, now) + step
	if next > now+Instant(limit.Window) {
		return false
	}
	*cell = next
	return true
}

func benchBudget(kind BudgetKind, id int64, limits ...int64) Budget {
	b := Budget{Key: BudgetKey{Kind: kind, ID: id}}
	for i, n := range limits {
		b.Limits = append(b.Limits, Limit{Name: fmt.Sprint("l", i), N: n, Window: time.Minute << i})
	}
	return b
}

// benchTake runs calls spaced by step from a budget filled to the brim, so that expiry is part of every call.
func benchTake(b *testing.B, step Instant, admitted bool, budgets []Budget) {
	l, now := NewLocalLimiter(LocalLimiterOptions{}), Instant(0)
	for range 2 * budgets[0].Limits[0].N {
		now += step
		if _, _, err := l.Take(b.Context(), now, 1, budgets); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		now += step
		if s, _, err := l.Take(b.Context(), now, 1, budgets); err != nil || s.Admitted != admitted {
			b.Fatal(s, err)
		}
	}
}

func BenchmarkLimiterTake(b *testing.B) {
	for _, n := range []int64{100, 4096, 100_000} {
		b.Run(fmt.Sprint("admitted/", n), func(b *testing.B) {
			benchTake(b, (Instant(time.Minute)+Instant(n)-1)/Instant(n), true, []Budget{benchBudget(BudgetToken, 1, n)})
		})
	}
	b.Run("refused", func(b *testing.B) {
		l, budgets := NewLocalLimiter(LocalLimiterOptions{}), []Budget{benchBudget(BudgetToken, 1, 100)}
		for range 100 {
			_, _, _ = l.Take(b.Context(), 0, 1, budgets)
		}
		b.ReportAllocs()
		for b.Loop() {
			if s, _, _ := l.Take(b.Context(), 1, 1, budgets); s.Admitted {
				b.Fatal("admitted")
			}
		}
	})
	b.Run("budgets/3 limits/6", func(b *testing.B) {
		benchTake(b, Instant(time.Minute)/100, true, []Budget{
			benchBudget(BudgetToken, 1, 100, 200, 400), benchBudget(BudgetOwner, 1, 100, 200), benchBudget(BudgetGroup, 1, 100),
		})
	})
	b.Run("twin", func(b *testing.B) {
		l, now, limit := newTwin(), Instant(0), benchBudget(BudgetToken, 1, 100).Limits[0]
		b.ReportAllocs()
		for b.Loop() {
			now += Instant(time.Minute) / 100
			if !l.take(now, 1, &limit) {
				b.Fatal("refused")
			}
		}
	})
}

// Clock readings are part of the parallel benchmarks, because without them no call is stale.
func BenchmarkLimiterTakeParallel(b *testing.B) {
	start := time.Now()
	budgets := []Budget{benchBudget(BudgetToken, 1, 1000)}
	b.Run("one token", func(b *testing.B) {
		l := NewLocalLimiter(LocalLimiterOptions{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _, _ = l.Take(b.Context(), Instant(time.Since(start)), 1, budgets)
			}
		})
	})
	b.Run("one token/twin", func(b *testing.B) {
		l := newTwin()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.take(Instant(time.Since(start)), 1, &budgets[0].Limits[0])
			}
		})
	})
}

func BenchmarkLimiterTakeManyTokens(b *testing.B) {
	const tokens = 1_000_000
	start := time.Now()
	all := make([][]Budget, tokens)
	for i := range all {
		all[i] = []Budget{benchBudget(BudgetToken, int64(i), 1000)}
	}
	b.Run("limiter", func(b *testing.B) {
		l := NewLocalLimiter(LocalLimiterOptions{})
		for i := range all {
			_, _, _ = l.Take(b.Context(), 0, 1, all[i])
		}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for pb.Next() {
				_, _, _ = l.Take(b.Context(), Instant(time.Since(start)), 1, all[random.IntN(tokens)])
			}
		})
	})
	b.Run("twin", func(b *testing.B) {
		l := newTwin()
		for i := range all {
			l.take(0, uint64(i), &all[i][0].Limits[0])
		}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for pb.Next() {
				i := random.IntN(tokens)
				l.take(Instant(time.Since(start)), uint64(i), &all[i][0].Limits[0])
			}
		})
	})
}
