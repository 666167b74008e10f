//go:build !race

// The properties are checked by one goroutine each: there is nothing for the race detector, which makes them ten times
// slower, to find.

package latchward

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// costUpTo draws a cost for a limit of n: mostly 1, sometimes a lump, rarely all there is.
func costUpTo(random *rand.Rand, n int64) int64 {
	switch random.IntN(8) {
	case 0:
		return 1 + random.Int64N(n)
	case 1, 2:
		return 1 + random.Int64N(max(1, n/64))
	case 3:
		return max(1, n/16)
	default:
		return 1
	}
}

// S2-13, S2-15, bar 38: whatever the calls, costs, settlements and changes of the limit, the limiter agrees with the
// ideal step by step: a log in every number, runs within 1/256 of the window and never over.
func TestLimitModel(t *testing.T) {
	lengths := []time.Duration{
		MinLimitWindow, 7919 * time.Microsecond, time.Second, 4 * time.Second, time.Minute, 18 * time.Minute, time.Hour,
		39 * time.Hour, 31 * 24 * time.Hour, MaxLimitWindow,
	}
	kinds := []struct {
		name     string
		exactMax int64
		n        func(*rand.Rand) int64
	}{
		{"log", 4096, func(random *rand.Rand) int64 { return 1 + random.Int64N(1<<random.IntN(13)) }},
		{"runs", 1, func(random *rand.Rand) int64 { return 2 + random.Int64N(1<<(1+random.IntN(18))) }},
		{"both", 64, func(random *rand.Rand) int64 { return 1 + random.Int64N(128) }},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			limitSeeds(t, limitScale(200, 20_000), func(t *testing.T, random *rand.Rand) {
				length := lengths[random.IntN(len(lengths))]
				p := newProgram(t, random, kind.exactMax, kind.n(random), length)
				relimits := random.IntN(2) == 0
				for range 300 {
					n := p.budget[0].Limits[0].N
					p.pass(limitStep(random, Instant(length), n))
					switch dice := random.IntN(40); {
					case dice < 6:
						p.settle()
					case dice == 6 && relimits:
						p.relimit(kind.n(random))
					case dice == 7:
						p.sweep()
					default:
						p.take(costUpTo(random, n))
					}
				}
			})
		})
	}
}

// The same for runs as they are when they are worth it: each of many calls about as fast as the limit allows, some
// settled for less, with questions asked at the very instants units leave.
func TestLimitModelRuns(t *testing.T) {
	limitSeeds(t, limitScale(200, 20_000), func(t *testing.T, random *rand.Rand) {
		n := 300 + random.Int64N(1<<(8+random.IntN(10)))
		length := []time.Duration{time.Second, time.Minute, 31 * 24 * time.Hour}[random.IntN(3)]
		p := newProgram(t, random, 1, n, length)
		lump := 1 + n/(500+random.Int64N(2000))
		mixed, relimits, pace := random.IntN(2) == 0, random.IntN(2) == 0, int64(length)/n*lump
		for range 6 {
			for range 20 + random.IntN(50) { // a few runs
				p.pass(Instant(random.Int64N(2*pace + 1)))
				cost := lump
				if mixed && random.IntN(4) == 0 {
					cost = 1 + random.Int64N(2*lump)
				}
				p.take(cost)
				if random.IntN(8) == 0 {
					p.settle()
				}
			}
			if relimits && random.IntN(3) == 0 {
				p.relimit(max(2*lump, n/2+random.Int64N(n)))
			}
			p.pass(Instant(random.Int64N(int64(length))))
			for range 20 + random.IntN(50) {
				p.pass(p.ideal.event(random, p.now))
				p.take(1 + random.Int64N(lump))
				if random.IntN(8) == 0 {
					p.settle()
				}
			}
		}
	})
}

// bar 38: a million steps of a limit of 100 a minute, and of one too large for a log.
func TestLimitModelLong(t *testing.T) {
	for _, n := range []int64{100, 20_000} {
		limitSeeds(t, 1, func(t *testing.T, random *rand.Rand) {
			p := newProgram(t, random, 0, n, time.Minute)
			fair := int64(time.Minute) / n
			for range limitScale(50_000, 1_000_000) {
				p.now += Instant(random.Int64N(2 * fair))
				if random.IntN(1000) == 0 {
					p.now += limitStep(random, Instant(time.Minute), n)
				}
				p.take(1 + random.Int64N(2))
				p.open = p.open[:0]
			}
			if n == 100 && p.early > 0 {
				t.Errorf("%d refusals were needless", p.early)
			}
			t.Logf("limit %d: %d refusals, %d of them less than 1/256 of the window early", n, p.refusals, p.early)
		})
	}
}

// Calls of one cost that divides the limit, spread evenly over the window from any phase, are never refused, though
// instants are whole nanoseconds; nor are slower ones.
func TestLimitSteady(t *testing.T) {
	lengths := []time.Duration{MinLimitWindow, time.Second, time.Minute, 31 * 24 * time.Hour}
	for _, n := range []int64{1, 2, 3, 7, 97, 100, 997, 4096, 4097, 20_000, 65_537, 300_000} {
		limitSeeds(t, limitScale(2, 200), func(t *testing.T, random *rand.Rand) {
			for _, length := range lengths {
				cost := divisor(random, n)
				if n > 4097 {
					cost = max(cost, n/20_000)
					for n%cost != 0 {
						cost++
					}
				}
				steadyClient(t, random, n, cost, length)
			}
		})
	}
}

// divisor draws a divisor of n.
func divisor(random *rand.Rand, n int64) int64 {
	var all []int64
	for d := int64(1); d*d <= n; d++ {
		if n%d == 0 {
			all = append(all, d, n/d)
		}
	}
	return all[random.IntN(len(all))]
}

// steadyClient calls at ⌊(phase + i·cost·length·slow)/n⌋ for three windows.
func steadyClient(t *testing.T, random *rand.Rand, n, cost int64, length time.Duration) {
	t.Helper()
	l := NewLocalLimiter(LocalLimiterOptions{Shards: 1})
	budget := []Budget{{Key: BudgetKey{Kind: BudgetToken, ID: 1}, Limits: []Limit{{Name: "s", N: n, Window: length}}}}
	start, phase := Instant(random.Int64N(1<<40)), wide{lo: uint64(random.Int64N(n))}
	slower := int64(0)
	if random.IntN(3) == 0 {
		slower = random.Int64N(3 * int64(length)) // per window's worth of calls
	}
	for i := range 3*n/cost + 2 {
		offset, ok := product(i*cost, int64(length)+slower).plus(phase).over(n)
		if !ok {
			t.Fatal("the test's own numbers overflow")
		}
		s, _, err := l.Take(t.Context(), start+Instant(offset), cost, budget)
		if err != nil || !s.Admitted {
			t.Fatalf("call %d of cost %d at %d under %d per %v, %d slower: %+v, %v", i, cost, offset, n, length, slower, s, err)
		}
	}
}

// The numbers that runs reach neither overflow nor panic: N up to the largest, windows to a year, late clocks.
func TestLimitEdges(t *testing.T) {
	for _, n := range []int64{4097, 1 << 40, MaxLimitN - 1, MaxLimitN} {
		for _, length := range []time.Duration{MinLimitWindow, 31 * 24 * time.Hour, MaxLimitWindow} {
			limitSeeds(t, limitScale(10, 1000), func(t *testing.T, random *rand.Rand) {
				p := newProgram(t, random, 0, n, length)
				p.now = maxInstant - 50*Instant(length)
				for range 200 {
					p.pass(limitStep(random, Instant(length), n))
					switch random.IntN(10) {
					case 0, 1:
						p.settle()
					case 2:
						p.relimit(1 + random.Int64N(n)>>random.IntN(48))
					default:
						limit := p.budget[0].Limits[0].N
						p.take(slices.Max([]int64{1, limit / (1 << random.IntN(20)), random.Int64N(limit) >> random.IntN(40)}))
					}
				}
			})
		}
	}
}

// A window whose length is changed carries over what is still known: shorter ones exactly, longer ones from then on.
func TestLimitWindowChanged(t *testing.T) {
	limitSeeds(t, limitScale(200, 20_000), func(t *testing.T, random *rand.Rand) {
		long, n := time.Minute, 2+random.Int64N(100)
		p := newProgram(t, random, []int64{1, 4096}[random.IntN(2)], n, long)
		for range 100 {
			p.now += limitStep(random, Instant(long), n)
			p.take(1)
		}
		runs := !p.exact()
		short := long / time.Duration(1+random.IntN(10))
		ideal := newIdeal(Instant(short))
		if runs {
			ideal.horizon[1] = Instant(short + long/256 + short/256) // what a run of the old length did not know
		}
		for _, b := range p.ideal.bookings {
			ideal.book(b.at, b.cost)
		}
		p.ideal = ideal
		p.budget = []Budget{{Key: p.budget[0].Key, Limits: []Limit{{Name: "model", N: n, Window: short}}}}
		for range 100 {
			p.take(1)
			p.now += limitStep(random, Instant(short), n)
		}
	})
}
