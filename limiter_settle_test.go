package latchward

import (
	"testing"
	"time"
)

// B-10: what a call reserved and did not use comes back, once, to every limit and budget.
func TestLimiterSettle(t *testing.T) {
	for _, exactMax := range []int64{0, 1} {
		w := newLimiterWorld(t, LocalLimiterOptions{ExactMax: exactMax})
		b, owner := tokenBudget(100, time.Minute), tokenBudgetOf(9, 150)
		owner.Key.Kind = BudgetOwner
		owner.Limits = append(owner.Limits, Limit{Name: "hour", N: 1000, Window: time.Hour})
		w.take(true, 10, b, owner)
		w.now++
		_, r := w.take(true, 60, b, owner)
		w.now = w.now.Add(time.Second)
		w.settle(r, 20, b, owner)
		w.settle(r, 0, b, owner) // no more than once
		w.settle(r, 20, b, owner)
		states, err := w.l.States(t.Context(), w.now, 1, []Budget{b, owner}, nil)
		if err != nil || len(states) != 3 {
			t.Fatal(states, err)
		}
		for _, s := range states {
			w.is("used", s.Used, int64(30))
		}
		w.take(true, 70, b)
		s, _ := w.take(false, 1, b)
		w.is("current", s.Current, int64(101))
		if exactMax == 0 {
			w.is("reset", s.Reset, Instant(time.Hour+time.Minute))
		}
	}
}

// A receipt settled after its window changes nothing there, but still where the window is longer.
func TestLimiterSettleLate(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{Shards: 1}), tokenBudget(100, time.Second)
	owner := Budget{Key: BudgetKey{Kind: BudgetOwner, ID: 1}, Limits: []Limit{{Name: "hour", N: 100, Window: time.Hour}}}
	_, r := w.take(true, 100, b, owner)
	w.now = w.now.Add(time.Second)
	w.take(true, 100, b)
	w.settle(r, 0, b, owner)
	w.take(false, 1, b)
	w.take(true, 100, owner)
	w.now = w.now.Add(time.Second)
	_, r = w.take(true, 1, b)
	w.now = w.now.Add(3 * time.Second)
	w.l.Sweep(w.now)
	w.is("Len", w.l.Len(), 1)
	w.settle(r, 0, b)
	w.is("Len", w.l.Len(), 1)
}

// An actual cost outside of 0 to the cost is invalid; the call keeps its charge and gives its place back.
func TestLimiterSettleActual(t *testing.T) {
	for _, actual := range []int64{-1, 61, -1 << 63, 1<<63 - 1} {
		w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(100, time.Minute)
		b.MaxInFlight = 1
		_, r := w.take(true, 60, b)
		checkLimitField(t, "Settle", w.l.Settle(t.Context(), w.now, r, []Budget{b}, actual), "actual")
		w.settle(r, 0, b) // it is settled
		s, _ := w.take(true, 1, b)
		w.is("used", s.Used, int64(61))
	}
	w := newLimiterWorld(t, LocalLimiterOptions{})
	w.settle(Receipt{}, 5, tokenBudget(1, time.Minute)) // of a refused call
	w.is("Len", w.l.Len(), 0)
	w.settle(Receipt{At: 5, Cost: 9, ID: 1<<64 - 1}, 5, tokenBudget(1, time.Minute)) // of somebody else's limiter
	w.is("Len", w.l.Len(), 0)
}

// Each receipt settles once while it is among the latest of its shard, and never after that.
func TestLimiterSettleHorizon(t *testing.T) {
	var s settledCalls
	calls := []uint64{1, 2, 63, 64, 65, generationCalls - 1, generationCalls, 2*generationCalls - 1, generationCalls / 2}
	for _, call := range calls {
		if !s.mark(call) || s.mark(call) {
			t.Errorf("call %d did not settle exactly once", call)
		}
	}
	if !s.mark(2*generationCalls) || !s.mark(2*generationCalls+1) {
		t.Error("a new generation did not settle")
	}
	if s.mark(3) {
		t.Error("a call of a forgotten generation settled")
	}
	if !s.mark(generationCalls + 1) {
		t.Error("a call of the last generation did not settle")
	}
}

// B-10: at most MaxInFlight calls are taken and not settled; a place becomes free by its own receipt, once.
func TestLimiterInFlight(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{MaxFlight: time.Hour})
	b := Budget{Key: BudgetKey{Kind: BudgetOwner, ID: 1}, MaxInFlight: 2}
	token := tokenBudget(100, time.Minute)
	_, one := w.take(true, 1, token, b)
	_, two := w.take(true, 1, token, b)
	s, _ := w.take(false, 1, token, b)
	w.is("refusal", s, LimitState{InFlight: true, Budget: 1, Limit: -1, N: 2, Used: 2, Current: 3, Reset: w.now})
	s, err := w.l.Peek(t.Context(), w.now, 1, []Budget{token, b})
	w.is("peek", s.InFlight, true)
	w.is("error", err, nil)
	s, _ = w.take(true, 1, token)
	w.is("the token was not charged", s.Used, int64(3))
	w.settle(one, 1, token, b)
	w.settle(one, 1, token, b)
	_, three := w.take(true, 1, token, b)
	w.take(false, 1, token, b)
	w.now = w.now.Add(30 * time.Minute)
	w.settle(two, 1, token, b)
	_, four := w.take(true, 1, token, b)
	w.now = w.now.Add(30 * time.Minute) // three is forgotten now, four is not
	w.take(true, 1, token, b)
	w.take(false, 1, token, b)
	w.settle(three, 1, token, b) // and frees nobody else's place
	w.take(false, 1, token, b)
	w.settle(four, 1, token, b)
	w.take(true, 1, token, b)
}

// A call refused by a limit and by a cap names the limit: its Reset is known.
func TestLimiterInFlightAndLimit(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(1, time.Minute)
	b.MaxInFlight = 1
	w.take(true, 1, b)
	capped := Budget{Key: BudgetKey{Kind: BudgetToken}, MaxInFlight: 1}
	for _, budgets := range [][]Budget{{b}, {tokenBudgetOf(0, 5), b}, {capped, b}} {
		s, _ := w.take(false, 1, budgets...)
		w.is("in flight", s.InFlight, false)
		w.is("reset", s.Reset, w.now.Add(time.Minute))
	}
}

// Whatever a receipt says, runs give back no more than they count, and only from a run that holds its instant.
func TestRunsRefund(t *testing.T) {
	const length = Instant(256 * time.Second)
	for _, test := range []struct {
		at   Instant
		cost int64
		want int64
	}{
		{1, 5, 15}, {3, 99, 10}, {0, 5, 20}, {4, 5, 20}, {Instant(time.Second), 5, 20}, {Instant(2 * time.Second), 5, 15},
		{Instant(2 * time.Second), 99, 10}, {Instant(3 * time.Second), 5, 20},
	} {
		r := newRuns(length, 1000)
		for _, at := range []Instant{1, 3, Instant(2 * time.Second)} {
			r.book(at, 10, 1000)
		}
		r.advance(1) // the first ten have left
		if got := r.total - r.gone; got != 20 {
			t.Fatalf("%d counted, want 20", got)
		}
		r.refund(test.at, test.cost)
		r.advance(2)
		if got := r.total - r.gone; got != test.want {
			t.Errorf("refund of %d at %d: %d counted, want %d", test.cost, test.at, got, test.want)
		}
	}
}
