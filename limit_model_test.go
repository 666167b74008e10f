package latchward

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// limitScale returns small, or full when the whole size is asked for.
func limitScale(small, full int) int {
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		return full
	}
	return small
}

// limitSeeds runs f with n random sources and prints their seeds; LATCHWARD_SEED runs one again.
func limitSeeds(t *testing.T, n int, f func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	base := rand.Uint64N(1 << 63)
	if again, err := strconv.ParseUint(os.Getenv("LATCHWARD_SEED"), 10, 64); err == nil {
		base, n = again, 1
	}
	seed := base
	defer func() {
		if t.Failed() {
			t.Logf("failed with LATCHWARD_SEED=%d", seed)
		}
	}()
	for ; seed < base+uint64(n); seed++ {
		f(t, rand.New(rand.NewPCG(seed, 0)))
	}
	t.Logf("seeds %d to %d", base, seed-1)
}

// idealWindow is the reference: every booking with its instant, counted over the window (0) and, for the allowance of
// large limits, over the window and 1/256 of it (1).
type idealWindow struct {
	horizon  [2]Instant
	bookings []idealBooking
	head     [2]int
	sum      [2]int64
}

type idealBooking struct {
	at   Instant
	cost int64
}

func newIdeal(length Instant) *idealWindow {
	return &idealWindow{horizon: [2]Instant{length, length + length/256}}
}

func (w *idealWindow) advance(now Instant) {
	for k, horizon := range w.horizon {
		for w.head[k] < len(w.bookings) && w.bookings[w.head[k]].at <= now-horizon {
			w.sum[k] -= w.bookings[w.head[k]].cost
			w.head[k]++
		}
	}
}

func (w *idealWindow) book(at Instant, cost int64) (index int) {
	w.bookings = append(w.bookings, idealBooking{at, cost})
	w.sum[0] += cost
	w.sum[1] += cost
	return len(w.bookings) - 1
}

func (w *idealWindow) refund(index int, back int64) {
	if index < w.head[0] {
		return // settling after the window changes nothing
	}
	w.bookings[index].cost -= back
	w.sum[0] -= back
	w.sum[1] -= back
}

// leaves returns when the k-th oldest unit leaves.
func (w *idealWindow) leaves(k int64) Instant {
	for _, b := range w.bookings[w.head[0]:] {
		if k -= b.cost; k <= 0 {
			return b.at + w.horizon[0]
		}
	}
	panic("fewer units than asked for")
}

// limitStep draws a distance between two calls from those at which windows go wrong.
func limitStep(random *rand.Rand, length Instant, n int64) Instant {
	fair := length / Instant(n)
	switch random.IntN(12) {
	case 0, 1:
		return 0
	case 2:
		return 1
	case 3:
		return length - 1
	case 4:
		return length
	case 5:
		return length/256 + Instant(random.IntN(3)) - 1
	case 6:
		return Instant(random.Int64N(int64(length) * 3))
	case 7:
		return Instant(random.Int64N(int64(length)/16 + 1))
	case 8, 9:
		return fair + Instant(random.IntN(3)) - min(fair, 1)
	default:
		return Instant(random.Int64N(int64(2*fair) + 2))
	}
}

// event returns the distance to 1 ns before, at or after the instant one of the oldest calls leaves, or 0.
func (w *idealWindow) event(random *rand.Rand, now Instant) Instant {
	alive := w.bookings[w.head[0]:]
	if len(alive) == 0 {
		return 0
	}
	leaves := alive[random.IntN(min(len(alive), 4))].at + w.horizon[0]
	return max(0, leaves-now+Instant(random.IntN(3))-1)
}

// limitProgram drives a limiter with one budget of one limit, and the ideal beside it, through random calls.
type limitProgram struct {
	t        *testing.T
	random   *rand.Rand
	l        *LocalLimiter
	ideal    *idealWindow
	budget   []Budget
	now      Instant // the clock
	seen     Instant // the latest instant decided at
	open     []openReceipt
	refusals int
	early    int // refusals that the ideal would have admitted
}

type openReceipt struct {
	receipt Receipt
	index   int
}

func newProgram(t *testing.T, random *rand.Rand, exactMax, n int64, length time.Duration) *limitProgram {
	return &limitProgram{
		t: t, random: random, l: NewLocalLimiter(LocalLimiterOptions{ExactMax: exactMax, Shards: 1}),
		ideal: newIdeal(Instant(length)),
		budget: []Budget{{
			Key: BudgetKey{Kind: BudgetToken, ID: 7}, Limits: []Limit{{Name: "model", N: n, Window: length}},
		}},
	}
}

// exact tells whether the limiter's window is a log.
func (p *limitProgram) exact() bool {
	b := p.l.shards[0].bucket(p.budget[0].Key.word(), true)
	return b.first.runs() == nil && p.budget[0].Limits[0].N <= p.l.exactMax
}

// pass moves the clock, but not to where instants end.
func (p *limitProgram) pass(step Instant) { p.now = min(maxInstant, p.now+step) }

// take makes a call, at times with a reading from the past, and compares.
func (p *limitProgram) take(cost int64) {
	p.t.Helper()
	reading := p.now
	if p.random.IntN(4) == 0 {
		reading -= min(reading, Instant(p.random.Int64N(int64(p.ideal.horizon[0]))))
	}
	s, r, err := p.l.Take(p.t.Context(), reading, cost, p.budget)
	if err != nil {
		p.t.Fatalf("Take(%d, %d): %v", reading, cost, err)
	}
	p.seen = max(p.seen, reading)
	p.ideal.advance(p.seen)
	n := p.budget[0].Limits[0].N
	if s.Admitted {
		if p.ideal.sum[0]+cost > n {
			p.t.Fatalf("over: %d at %d admitted with %d of %d used", cost, p.seen, p.ideal.sum[0], n)
		}
		if r.At != p.seen || r.Cost != cost {
			p.t.Fatalf("booked %+v, want %d at %d", r, cost, p.seen)
		}
		p.open = append(p.open, openReceipt{r, p.ideal.book(p.seen, cost)})
	} else if p.refusals++; p.ideal.sum[1]+cost <= n {
		p.t.Fatalf("needless: %d at %d refused with %d of %d used, and %d a while ago",
			cost, p.seen, p.ideal.sum[0], n, p.ideal.sum[1])
	} else if p.ideal.sum[0]+cost <= n {
		p.early++
	}
	p.compare(s, cost)
}

// compare checks every number of a state against the ideal.
func (p *limitProgram) compare(s LimitState, cost int64) {
	p.t.Helper()
	n, used := p.budget[0].Limits[0].N, p.ideal.sum[0]
	want := LimitState{Admitted: s.Admitted, N: n, Used: s.Used, Current: s.Used, Remaining: max(0, n-s.Used)}
	if !s.Admitted {
		want.Current = s.Used + cost
	}
	if want.Reset = s.Reset; p.exact() {
		want.Used, want.Admitted, want.Reset = used, s.Admitted, p.seen
		if !s.Admitted {
			want.Reset = p.ideal.leaves(used + cost - n)
		} else if used > 0 {
			want.Reset = p.ideal.leaves(1)
		}
	}
	if s != want {
		p.t.Fatalf("at %d got %+v, want %+v", p.seen, s, want)
	}
	if s.Used < used || s.Used > p.ideal.sum[1] {
		p.t.Fatalf("at %d %d are counted, want %d to %d", p.seen, s.Used, used, p.ideal.sum[1])
	}
}

// settle returns a part of a random call, sometimes of one long past.
func (p *limitProgram) settle() {
	p.t.Helper()
	if len(p.open) == 0 {
		return
	}
	i := max(0, len(p.open)-1-p.random.IntN(40))
	open := p.open[i]
	p.open = append(p.open[:i], p.open[i+1:]...)
	actual := p.random.Int64N(open.receipt.Cost + 1)
	p.seen = p.now
	p.ideal.advance(p.seen)
	before := p.used()
	for range 1 + p.random.IntN(2) { // twice is as good as once
		if err := p.l.Settle(p.t.Context(), p.now, open.receipt, p.budget, actual); err != nil {
			p.t.Fatal(err)
		}
	}
	p.ideal.refund(open.index, open.receipt.Cost-actual)
	if after := p.used(); after > before {
		p.t.Fatalf("settling raised what counts from %d to %d", before, after)
	}
}

// used returns the units the limiter counts now, after looking at how it counts them.
func (p *limitProgram) used() int64 {
	states, err := p.l.States(p.t.Context(), p.now, 1, p.budget, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r := p.l.shards[0].bucket(p.budget[0].Key.word(), false).first.runs()
	if r == nil {
		return states[0].Used
	}
	total := int64(0)
	for i := range r.count {
		run := r.nth(i)
		total += run.units
		if run.flat(r.n).less(run.late) {
			p.t.Fatalf("run %d is later than all of its calls: %+v", i, *run)
		}
	}
	if total != r.total || r.count > maxRuns || r.count > 0 && r.gone > r.nth(0).units {
		p.t.Fatalf("%d units in %d runs, want %d; %d are gone", total, r.count, r.total, r.gone)
	}
	return states[0].Used
}

// sweep forgets the budget if it is idle; what comes next may be judged at an earlier instant then.
func (p *limitProgram) sweep() {
	p.l.Sweep(p.now)
	if p.l.Len() == 0 {
		p.seen = p.l.shards[0].floor
	}
}

// relimit changes N, without touching the budget that the limiter has seen.
func (p *limitProgram) relimit(n int64) {
	limit := p.budget[0].Limits[0]
	limit.N = n
	p.budget = []Budget{{Key: p.budget[0].Key, Limits: []Limit{limit}}}
}
