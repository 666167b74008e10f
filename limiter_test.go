package latchward

import (
	"testing"
	"time"
)

// limiterWorld is a limiter with a clock, for tests of one call after another.
type limiterWorld struct {
	*testing.T
	l   *LocalLimiter
	now Instant
}

func newLimiterWorld(t *testing.T, o LocalLimiterOptions) *limiterWorld {
	return &limiterWorld{T: t, l: NewLocalLimiter(o), now: Instant(time.Hour)}
}

// take makes a call and fails unless it is decided as wanted.
func (w *limiterWorld) take(want bool, cost int64, budgets ...Budget) (LimitState, Receipt) {
	w.Helper()
	s, r, err := w.l.Take(w.Context(), w.now, cost, budgets)
	if err != nil || s.Admitted != want || (r.ID != 0) != want {
		w.Fatalf("Take of %d at %v = %+v, %+v, %v, want admitted %v", cost, w.now.Sub(0), s, r, err, want)
	}
	return s, r
}

func (w *limiterWorld) takeN(n int, budgets ...Budget) {
	w.Helper()
	for range n {
		w.take(true, 1, budgets...)
	}
}

func (w *limiterWorld) settle(r Receipt, actual int64, budgets ...Budget) {
	w.Helper()
	if err := w.l.Settle(w.Context(), w.now, r, budgets, actual); err != nil {
		w.Fatal(err)
	}
}

func (w *limiterWorld) is(what string, got, want any) {
	w.Helper()
	if got != want {
		w.Errorf("%s = %v, want %v", what, got, want)
	}
}

func tokenBudget(n int64, window time.Duration) Budget {
	return Budget{Key: BudgetKey{Kind: BudgetToken, ID: 1}, Limits: []Limit{{Name: "rate", N: n, Window: window}}}
}

// S2-13: Remaining falls by one per call and Reset is when the oldest call leaves; with none counted it is now.
func TestLimiterNumbers(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(500, time.Minute)
	s, err := w.l.Peek(t.Context(), w.now, 1, []Budget{b})
	if err != nil || s != (LimitState{Admitted: true, N: 500, Remaining: 500, Reset: w.now}) {
		t.Fatal(s, err)
	}
	start := w.now
	for i := range int64(500) {
		s, r := w.take(true, 1, b)
		want := LimitState{
			Admitted: true, N: 500, Used: i + 1, Current: i + 1, Remaining: 499 - i, Reset: start.Add(time.Minute),
		}
		w.is("state", s, want)
		w.is("booked", r.At, w.now)
		w.now = w.now.Add(time.Millisecond)
	}
	s, _ = w.take(false, 1, b)
	w.is("refusal", s, LimitState{N: 500, Used: 500, Current: 501, Reset: start.Add(time.Minute)}) // S2-14
	w.now = start.Add(time.Minute)
	s, _ = w.take(true, 1, b)
	w.is("Reset", s.Reset, start.Add(time.Minute+time.Millisecond))
}

// S2-15: hammering through the end of the window neither delays recovery nor shows in current.
func TestLimiterHammering(t *testing.T) {
	for _, exactMax := range []int64{0, 1} {
		w, b := newLimiterWorld(t, LocalLimiterOptions{ExactMax: exactMax}), tokenBudget(5, time.Minute)
		w.takeN(5, b)
		reset := w.now.Add(time.Minute)
		for w.now = w.now.Add(time.Second); w.now < reset; w.now = w.now.Add(10 * time.Millisecond) {
			s, _ := w.take(false, 1, b)
			w.is("current", s.Current, int64(6))
			w.is("reset", s.Reset, reset)
		}
		w.now = reset - 1
		w.take(false, 1, b)
		w.now = reset
		w.takeN(5, b)
		w.take(false, 1, b)
	}
}

// bar 44: raising and lowering take effect at once, in both kinds of windows.
func TestLimiterLowered(t *testing.T) {
	for _, exactMax := range []int64{0, 100, 1} {
		w := newLimiterWorld(t, LocalLimiterOptions{ExactMax: exactMax})
		w.takeN(500, tokenBudget(1000, time.Minute))
		s, _ := w.take(false, 1, tokenBudget(10, time.Minute))
		w.is("remaining", s.Remaining, int64(0))
		w.is("current", s.Current, int64(501))
		w.is("reset", s.Reset, w.now.Add(time.Minute))
		s, _ = w.take(true, 1, tokenBudget(1000, time.Minute))
		w.is("remaining", s.Remaining, int64(499))
		w.now = w.now.Add(time.Minute)
		w.takeN(10, tokenBudget(10, time.Minute))
		w.take(false, 1, tokenBudget(10, time.Minute))
	}
}

// A limit lowered to where windows are exact has an exact one once the old one has run empty, and not before.
func TestLimiterLoweredToExact(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{ExactMax: 1000, Shards: 1})
	large, small := tokenBudget(1001, time.Minute), tokenBudget(3, time.Minute)
	w.take(true, 1, large)
	bucket := w.l.shards[0].bucket(small.Key.word(), false)
	w.take(true, 1, small)
	w.is("exact", bucket.first.runs() == nil, false)
	w.now = w.now.Add(time.Minute)
	w.take(true, 1, small)
	w.is("exact", bucket.first.runs() == nil, true)
}

// bar 37: two tokens of one owner in one group share what the group allows, and a refusal by the group costs nobody.
func TestLimiterBudgets(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{})
	budget := func(kind BudgetKind, id, n int64) Budget {
		return Budget{Key: BudgetKey{Kind: kind, ID: id}, Limits: []Limit{{Name: kind.String(), N: n, Window: time.Minute}}}
	}
	owner, group := budget(BudgetOwner, 1, 150), budget(BudgetGroup, 1, 120)
	one := []Budget{budget(BudgetToken, 1, 100), owner, group}
	two := []Budget{group, budget(BudgetToken, 2, 100), owner} // any order
	w.takeN(70, one...)
	w.takeN(50, two...)
	for range 10 {
		s, _ := w.take(false, 1, one...)
		w.is("who refused", s.Budget, 2)
		s, _ = w.take(false, 1, two...)
		w.is("who refused", s.Budget, 0)
	}
	states, err := w.l.States(t.Context(), w.now, 1, one, nil)
	if err != nil || len(states) != 3 {
		t.Fatal(states, err)
	}
	for i, used := range []int64{70, 120, 120} {
		w.is("budget", states[i].Budget, i)
		w.is("used", states[i].Used, used)
		w.is("admitted", states[i].Admitted, i < 2)
	}
	w.takeN(30, owner)  // the owner's 150 were not touched by refusals
	w.takeN(30, one[0]) // nor the token's 100
	w.take(false, 1, one[:2]...)
}

// A refusal is described by the violated limit with the latest Reset; success by the first limit of the first budget,
// or by the scarcest when that has none.
func TestLimiterDescribes(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{})
	b := Budget{Key: BudgetKey{Kind: BudgetToken, ID: 1}, Limits: []Limit{
		{Name: "minute", N: 10, Window: time.Minute}, {Name: "second", N: 3, Window: time.Second},
		{Name: "hour", N: 12, Window: time.Hour},
	}}
	s, _ := w.take(true, 3, b)
	w.is("limit", s.Limit, 0)
	s, _ = w.take(false, 1, b)
	w.is("limit", s.Limit, 1)
	w.now = w.now.Add(time.Second)
	w.take(true, 3, b)
	w.now = w.now.Add(time.Second)
	w.take(true, 3, b)
	s, _ = w.take(false, 2, b) // second and minute
	w.is("limit", s.Limit, 0)
	w.now = w.now.Add(time.Minute)
	w.take(true, 3, b)
	s, _ = w.take(false, 3, b) // second and hour
	w.is("limit", s.Limit, 2)
	w.is("reset", s.Reset, Instant(2*time.Hour))

	none := Budget{Key: BudgetKey{Kind: BudgetToken, ID: 2}, MaxInFlight: 5}
	s, _ = w.take(true, 1, none, tokenBudgetOf(9, 100), tokenBudgetOf(8, 50))
	w.is("scarcest", s.Budget, 2)
	w.is("remaining", s.Remaining, int64(49))
	s, _ = w.take(true, 1, none)
	w.is("nothing limits", s, LimitState{Admitted: true, Budget: -1, Limit: -1, Reset: w.now})
	s, _, err := w.l.Take(t.Context(), w.now, 1, nil)
	if err != nil || s != (LimitState{Admitted: true, Budget: -1, Limit: -1, Reset: w.now}) {
		t.Error(s, err)
	}
}

func tokenBudgetOf(id, n int64) Budget {
	b := tokenBudget(n, time.Minute)
	b.Key.ID = id
	return b
}

// bar 39: a cost that cannot be is invalid, changes nothing, and 60 twice on 100 consumes 60.
func TestLimiterCost(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(100, time.Minute)
	for _, cost := range []int64{0, -1, 101, 1<<63 - 1, -1 << 63} {
		_, r, err := w.l.Take(t.Context(), w.now, cost, []Budget{tokenBudgetOf(2, 1000), b})
		checkLimitField(t, "cost", err, "cost")
		w.is("receipt", r, Receipt{})
		_, err = w.l.Peek(t.Context(), w.now, cost, []Budget{b})
		checkLimitField(t, "cost", err, "cost")
	}
	w.take(true, 60, b)
	s, _ := w.take(false, 60, b)
	w.is("remaining", s.Remaining, int64(40))
	w.is("current", s.Current, int64(120))
	w.take(true, 40, b)
}

// Arguments that can never be right are refused, and leave no lock behind.
func TestLimiterArguments(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(5, time.Minute)
	many := make([]Budget, MaxBudgets+1)
	for i := range many {
		many[i] = tokenBudgetOf(int64(i), 5)
	}
	for _, test := range []struct {
		field   string
		now     Instant
		budgets []Budget
	}{
		{"now", -1, []Budget{b}},
		{"now", maxInstant + 1, []Budget{b}},
		{"budgets", w.now, []Budget{b, tokenBudgetOf(2, 5), b}},
		{"budgets", w.now, many},
		{"window", w.now, []Budget{b, {Key: BudgetKey{Kind: BudgetOwner}, Limits: []Limit{{Name: "x", N: 1}}}}},
	} {
		_, _, err := w.l.Take(t.Context(), test.now, 1, test.budgets)
		checkLimitField(t, "Take", err, test.field)
		_, err = w.l.Peek(t.Context(), test.now, 1, test.budgets)
		checkLimitField(t, "Peek", err, test.field)
		_, err = w.l.States(t.Context(), test.now, 1, test.budgets, nil)
		checkLimitField(t, "States", err, test.field)
	}
	w.takeN(5, b)
	checkLimitField(t, "Settle", w.l.Settle(t.Context(), -1, Receipt{ID: 1}, []Budget{b}, 0), "now")
}

// A call that read the clock before another, and comes after it, is judged at the other's instant: else it would be
// judged at one for which the other has let units go.
func TestLimiterStaleReading(t *testing.T) {
	b := tokenBudget(1, time.Minute)
	for name, second := range map[string]func(w *limiterWorld){
		"after a refusal": func(w *limiterWorld) {
			w.take(false, 1, b, tokenBudgetFull(w))
		},
		"after a settlement": func(w *limiterWorld) {
			w.settle(Receipt{At: 1, Cost: 1, ID: 1 << shardBits}, 1, b)
		},
		"after a peek": func(w *limiterWorld) {
			if _, err := w.l.Peek(t.Context(), w.now, 1, []Budget{b}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLimiterWorld(t, LocalLimiterOptions{})
			w.take(true, 1, b)
			stale := w.now.Add(30 * time.Second)
			w.now = w.now.Add(time.Minute)
			second(w)
			w.now = stale
			_, r := w.take(true, 1, b)
			w.is("booked", r.At, Instant(time.Hour+time.Minute))
		})
	}
	t.Run("after a sweep", func(t *testing.T) {
		w := newLimiterWorld(t, LocalLimiterOptions{Shards: 1})
		w.take(true, 1, b)
		stale := w.now.Add(30 * time.Second)
		w.l.Sweep(w.now.Add(2 * time.Minute))
		w.is("Len", w.l.Len(), 0)
		w.now = stale
		_, r := w.take(true, 1, b)
		w.is("booked", r.At, Instant(time.Hour+time.Minute))
	})
}

// tokenBudgetFull returns a budget of the world that refuses everything.
func tokenBudgetFull(w *limiterWorld) Budget {
	full := tokenBudgetOf(99, 1)
	w.take(true, 1, full)
	return full
}

// bar 41: a backward step of the clock admits nothing more, a forward one locks out for one window at most.
func TestLimiterClockSteps(t *testing.T) {
	w, b := newLimiterWorld(t, LocalLimiterOptions{}), tokenBudget(2, time.Minute)
	w.takeN(2, b)
	w.now = w.now.Add(-30 * time.Minute)
	s, _ := w.take(false, 1, b)
	w.is("reset", s.Reset, Instant(time.Hour+time.Minute))
	w.now = Instant(time.Hour).Add(24 * time.Hour)
	w.takeN(2, b)
	w.now = w.now.Add(time.Minute)
	w.takeN(2, b)
}
