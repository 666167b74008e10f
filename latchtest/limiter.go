package latchtest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// limiterPromise is one promise of [latchward.Limiter], under the name that its documentation gives it.
type limiterPromise struct {
	name  string // Method/Promise
	check func(t *limiterTrial)
}

// RunLimiter checks every promise of [latchward.Limiter]. newLimiter returns a limiter that has admitted nothing, each
// time another one, and closes it by way of t.Cleanup. Clock readings are those of the trials, not of any real clock. A
// limiter with a method Sweep(latchward.Instant) is swept where budgets are idle.
func RunLimiter(t *testing.T, newLimiter func(t *testing.T) latchward.Limiter) {
	t.Helper()
	for _, p := range limiterPromises() {
		t.Run(p.name, func(t *testing.T) {
			p.check(newLimiterTrial(t, func() latchward.Limiter { return newLimiter(t) }))
		})
	}
}

func limiterPromises() []limiterPromise {
	return slices.Concat(limiterWindowPromises(), limiterTakePromises(), limiterSettlePromises(), limiterReadPromises())
}

// limiterTrial is a limiter on its way through one promise.
type limiterTrial struct {
	TB
	newLimiter func() latchward.Limiter
	limiter    latchward.Limiter
	now        latchward.Instant
}

// limiterStart is when every trial begins: late enough for readings from two hours ago.
const limiterStart = latchward.Instant(3 * time.Hour)

func newLimiterTrial(t TB, newLimiter func() latchward.Limiter) *limiterTrial {
	l := &limiterTrial{TB: t, newLimiter: newLimiter}
	l.restart()
	return l
}

// restart continues with another limiter, at the beginning of the clock.
func (t *limiterTrial) restart() { t.limiter, t.now = t.newLimiter(), limiterStart }

// pass lets time pass.
func (t *limiterTrial) pass(d time.Duration) { t.now = t.now.Add(d) }

// call makes a call that has to be decided.
func (t *limiterTrial) call(cost int64, budgets ...latchward.Budget) (latchward.LimitState, latchward.Receipt) {
	t.Helper()
	s, r, err := t.limiter.Take(t.Context(), t.now, cost, budgets)
	if err != nil {
		t.Fatalf("Take of %d: %v", cost, err)
	}
	return s, r
}

// admit makes a call that has to be admitted.
func (t *limiterTrial) admit(cost int64, budgets ...latchward.Budget) (latchward.LimitState, latchward.Receipt) {
	t.Helper()
	s, r := t.call(cost, budgets...)
	if !s.Admitted {
		t.Fatalf("Take of %d was refused: %+v", cost, s)
	}
	if r.ID == 0 || r.Cost != cost || r.At < t.now {
		t.Fatalf("Take of %d at %d returned the receipt %+v", cost, t.now, r)
	}
	return s, r
}

// refuse makes a call that has to be refused.
func (t *limiterTrial) refuse(cost int64, budgets ...latchward.Budget) latchward.LimitState {
	t.Helper()
	s, r := t.call(cost, budgets...)
	if s.Admitted {
		t.Fatalf("Take of %d was admitted: %+v", cost, s)
	}
	if r != (latchward.Receipt{}) {
		t.Fatalf("a refused call returned the receipt %+v", r)
	}
	return s
}

// holds checks that a budget has room for exactly n units, and uses them up.
func (t *limiterTrial) holds(n int64, budget latchward.Budget) {
	t.Helper()
	if n > 0 {
		t.admit(n, budget)
	}
	t.refuse(1, budget)
}

func (t *limiterTrial) settle(r latchward.Receipt, actual int64, budgets ...latchward.Budget) {
	t.Helper()
	if err := t.limiter.Settle(t.Context(), t.now, r, budgets, actual); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

// invalid checks that err is of code invalid about field.
func (t *limiterTrial) invalid(what string, err error, field string) {
	t.Helper()
	if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field {
		t.Errorf("%s: error %v, want code invalid and field %s", what, err, field)
	}
}

// perMinute returns the budget of a token with one limit.
func perMinute(id, n int64) latchward.Budget {
	return latchward.Budget{
		Key:    latchward.BudgetKey{Kind: latchward.BudgetToken, ID: id},
		Limits: []latchward.Limit{{Name: "minute", N: n, Window: time.Minute}},
	}
}

// inFlight returns the budget of an owner with a cap.
func inFlight(id int64, most int32) latchward.Budget {
	return latchward.Budget{Key: latchward.BudgetKey{Kind: latchward.BudgetOwner, ID: id}, MaxInFlight: most}
}

// admission is a call that was admitted.
type admission struct {
	at   latchward.Instant
	cost int64
}

// within returns the cost admitted in (end-window, end].
func within(admitted []admission, end latchward.Instant, window time.Duration) (cost int64) {
	for _, a := range slices.Backward(admitted) {
		if a.at > end.Add(-window) && a.at <= end {
			cost += a.cost
		}
	}
	return cost
}

// limiterWalk makes random calls on one limit, steps apart where windows go wrong, and gives each to see.
func limiterWalk(
	t *limiterTrial, n int64, calls int, see func(s latchward.LimitState, a admission, before []admission),
) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	budget := perMinute(1, n)
	var admitted []admission
	short := []time.Duration{0, 0, 1, time.Minute / time.Duration(n), time.Minute / 256, 100 * time.Millisecond}
	long := []time.Duration{time.Minute - 1, time.Minute, time.Duration(random.Int64N(int64(time.Minute)))}
	for range calls {
		if random.IntN(20) == 0 {
			t.pass(long[random.IntN(len(long))])
		} else {
			t.pass(min(time.Second, short[random.IntN(len(short))]))
		}
		cost := 1 + random.Int64N(max(1, n/8))
		s, r := t.call(cost, budget)
		see(s, admission{max(r.At, t.now), cost}, admitted)
		if s.Admitted {
			admitted = append(admitted, admission{r.At, cost})
		}
	}
	if refused := calls - len(admitted); min(len(admitted), refused) < calls/100 {
		t.Fatalf("%d calls were admitted and %d refused: too few to tell anything", len(admitted), refused)
	}
}
