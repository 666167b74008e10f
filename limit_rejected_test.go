package latchward

import (
	"testing"
	"time"
)

// The simpler limiters that were rejected, each with the calls that show why (docs/decisions/0003). They fail the same
// comparison with the ideal that LocalLimiter passes, so the comparison is known to bite.

// taker decides calls of cost 1.
type taker func(now Instant) bool

// limiterFaults makes a call at each instant and counts those that broke the limit, and those refused without need.
func limiterFaults(take taker, n int64, length Instant, calls []Instant) (over, needless int) {
	ideal := newIdeal(length)
	for _, now := range calls {
		admitted := take(now)
		ideal.advance(now)
		switch fits := ideal.sum[0] < n; {
		case admitted && !fits:
			over++
		case !admitted && fits:
			needless++
		}
		if admitted {
			ideal.book(now, 1)
		}
	}
	return over, needless
}

const rejectedLength = Instant(time.Minute)

// seconds returns count calls at each of the given times.
func seconds(count int, at ...float64) (calls []Instant) {
	for _, s := range at {
		for range count {
			calls = append(calls, Instant(s*float64(time.Second)))
		}
	}
	return calls
}

// evenly returns three windows of calls spread evenly from the phase on.
func evenly(n int64, phase Instant) (calls []Instant) {
	for i := range 3 * n {
		calls = append(calls, phase+Instant(i)*rejectedLength/Instant(n))
	}
	return calls
}

func join(parts ...[]Instant) (all []Instant) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// fixedWindow counts from one multiple of the window to the next.
func fixedWindow(n int64, length Instant) taker {
	var period Instant
	var count int64
	return func(now Instant) bool {
		if now/length != period {
			period, count = now/length, 0
		}
		count++
		return count <= n
	}
}

// windowFromFirst counts for one window from the first call on.
func windowFromFirst(n int64, length Instant) taker {
	start, count := -length, int64(0)
	return func(now Instant) bool {
		if now-start >= length {
			start, count = now, 0
		}
		count++
		return count <= n
	}
}

// weightedWindows estimates from the counts of this fixed window and the last.
func weightedWindows(n int64, length Instant) taker {
	var period Instant
	var count, last int64
	return func(now Instant) bool {
		switch now/length - period {
		case 0:
		case 1:
			last, count = count, 0
		default:
			last, count = 0, 0
		}
		period = now / length
		left := length - now%length
		if float64(last)*float64(left)/float64(length)+float64(count)+1 > float64(n) {
			return false
		}
		count++
		return true
	}
}

// cellRate is the generic cell rate algorithm with a burst of b and a rate of r per window.
func cellRate(b, r int64, length Instant) taker {
	var next Instant
	step := length / Instant(r)
	return func(now Instant) bool {
		after := max(next, now) + step
		if after-now > step*Instant(b) {
			return false
		}
		next = after
		return true
	}
}

// subBuckets counts the last keep slices of which a window has 60.
func subBuckets(keep, n int64, length Instant) taker {
	counts := make(map[Instant]int64)
	return func(now Instant) bool {
		slice, total := now/(length/60), int64(0)
		for i := range keep {
			total += counts[slice-Instant(i)]
		}
		if total >= n {
			return false
		}
		counts[slice]++
		return true
	}
}

// runsWithoutLines lets a whole run go one window after its last call.
func runsWithoutLines(n int64, length Instant) taker {
	r := newRuns(length, n)
	return func(now Instant) bool {
		for i := range r.count {
			r.nth(i).late = r.nth(i).flat(n)
		}
		r.advance(now - length)
		if r.total-r.gone >= n {
			return false
		}
		r.book(now, 1, n)
		return true
	}
}

// ticks is a log of stamps in whole milliseconds, rounded down or up.
func ticks(n int64, length, round Instant) taker {
	const tick = Instant(time.Millisecond)
	var stamps []Instant
	return func(now Instant) bool {
		for len(stamps) > 0 && now/tick-stamps[0] >= length/tick {
			stamps = stamps[1:]
		}
		if int64(len(stamps)) >= n {
			return false
		}
		stamps = append(stamps, (now+round)/tick)
		return true
	}
}

func TestLimitRejected(t *testing.T) {
	const w = rejectedLength
	gcra := join(seconds(10, 0), seconds(1, 6, 12, 18, 24, 30, 36, 42, 48, 54))
	for _, test := range []struct {
		name  string
		n     int64
		take  taker
		over  bool // else it refuses without need
		calls []Instant
	}{
		{"fixed window", 10, fixedWindow(10, w), true, seconds(10, 59.9, 60)},
		{"window from the first call", 10, windowFromFirst(10, w), true,
			join(seconds(1, 0), seconds(9, 59.9), seconds(10, 60))},
		{"two weighted windows", 10, weightedWindows(10, w), true, join(seconds(10, 59), seconds(5, 90))},
		{"cell rate, full burst", 10, cellRate(10, 10, w), true, gcra},
		{"cell rate, safe burst", 10, cellRate(5, 5, w), false, evenly(10, 0)},
		{"sub-buckets", 10, subBuckets(60, 10, w), true, join(seconds(10, 0.5), seconds(1, 60))},
		{"sub-buckets and one", 10, subBuckets(61, 10, w), false, evenly(10, 0)},
		{"runs without lines", 1024, runsWithoutLines(1024, w), false, evenly(1024, 0)},
		{"ticks rounded down", 10, ticks(10, w, 0), true, join(seconds(10, 0.0009), seconds(1, 60))},
		{"ticks rounded up", 10, ticks(10, w, Instant(time.Millisecond)-1), false, evenly(10, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			over, needless := limiterFaults(test.take, test.n, w, test.calls)
			if test.over != (over > 0) || test.over == (needless > 0) {
				t.Errorf("%d over and %d needless: the calls do not show what is wrong", over, needless)
			}
			for _, exactMax := range []int64{4096, 1} {
				l := NewLocalLimiter(LocalLimiterOptions{Shards: 1, ExactMax: exactMax})
				budgets := []Budget{tokenBudget(test.n, time.Minute)}
				over, needless = limiterFaults(func(now Instant) bool {
					s, _, err := l.Take(t.Context(), now, 1, budgets)
					return err == nil && s.Admitted
				}, test.n, w, test.calls)
				if over > 0 || needless > 0 {
					t.Errorf("the limiter itself, exact up to %d: %d over and %d needless", exactMax, over, needless)
				}
			}
		})
	}
}

// Taking from each budget and undoing on a refusal never exceeds a limit, but what is taken for a call that the group
// refuses makes another call fail for nothing. Here that other call comes between take and undo.
func TestLimitRejectedUndo(t *testing.T) {
	w := newLimiterWorld(t, LocalLimiterOptions{})
	owner, group := tokenBudgetOf(1, 1), tokenBudgetFull(w)
	_, r := w.take(true, 1, owner)
	w.take(false, 1, group)
	w.take(false, 1, owner) // would have fitted: nothing has passed
	w.settle(r, 0, owner)

	w.take(false, 1, owner, group)
	w.take(true, 1, owner)
}

// Were the latest instant moved by admissions only, a refusal could let units go for a call with an earlier reading.
func TestLimitRejectedSeen(t *testing.T) {
	w := newWindow(rejectedLength)
	w.book(0, 1, 1, 1)
	w.advance(rejectedLength) // a call at this instant, refused by another budget
	stale := rejectedLength / 2
	w.advance(stale)
	if w.used() != 0 {
		t.Error("a window that is asked about the past was to have lost its unit")
	}
}
