package latchtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// referenceLimiter keeps every promise by the shortest way: a list of all that was booked, counted anew each time. It
// breaks the promise it is told to.
type referenceLimiter struct {
	breaks   string
	mu       sync.Mutex
	seen     latchward.Instant
	calls    uint64
	bookings []referenceBooking
	settled  map[uint64]bool
	firstN   map[latchward.BudgetKey]int64
}

type referenceBooking struct {
	key      latchward.BudgetKey
	at       latchward.Instant
	cost     int64
	id       uint64
	inFlight bool
}

func (l *referenceLimiter) is(promise string) bool { return l.breaks == promise }

// look moves the limiter to now.
func (l *referenceLimiter) look(now latchward.Instant) {
	if l.seen = max(l.seen, now); l.is("Take/StaleReading") {
		l.seen = now
	}
	l.bookings = slices.DeleteFunc(l.bookings, func(b referenceBooking) bool {
		return b.at <= l.seen.Add(-25*time.Hour) || l.is("Take/StaleReading") && b.at <= l.seen.Add(-time.Minute)
	})
}

// counted returns the bookings of a key in the window, oldest first.
func (l *referenceLimiter) counted(key latchward.BudgetKey, window time.Duration) (counted []referenceBooking) {
	switch l.breaks {
	case "Take/NeverOver":
		window -= window / 4
	case "Take/NeverNeedlessly":
		window += window / 4
	case "Take/Steady":
		window++
	}
	for _, b := range l.bookings {
		if b.key == key && b.cost > 0 && b.at > l.seen.Add(-window) {
			counted = append(counted, b)
		}
	}
	return counted
}

// state describes a limit to a call of the given cost that is not booked; 0 to one that is.
func (l *referenceLimiter) state(budgets []latchward.Budget, i, j int, cost int64) latchward.LimitState {
	key, limit := budgets[i].Key, budgets[i].Limits[j]
	if l.is("Take/LimitReadAtEachCall") {
		if _, ok := l.firstN[key]; !ok {
			l.firstN[key] = limit.N
		}
		limit.N = l.firstN[key]
	}
	counted, used := l.counted(key, limit.Window), int64(0)
	for _, b := range counted {
		used += b.cost
	}
	s := latchward.LimitState{
		Admitted: used+cost <= limit.N, Budget: i, Limit: j, N: limit.N, Used: used, Current: used,
		Remaining: max(0, limit.N-used), Reset: l.seen,
	}
	leave := int64(1)
	if !s.Admitted {
		leave = used + cost - limit.N
		if !l.is("Take/Described") {
			s.Current += cost
		}
	}
	for _, b := range counted {
		if leave -= b.cost; leave <= 0 {
			s.Reset = b.at.Add(limit.Window)
			break
		}
	}
	if l.is("Take/ResetIsTrue") {
		s.Reset++
	}
	return s
}

// decide describes a call that is not booked, and checks its arguments.
func (l *referenceLimiter) decide(
	now latchward.Instant, cost int64, budgets []latchward.Budget,
) (s latchward.LimitState, err error) {
	if l.firstN == nil {
		l.firstN, l.settled = make(map[latchward.BudgetKey]int64), make(map[uint64]bool)
	}
	l.look(now)
	s, found := latchward.LimitState{Admitted: true, Budget: -1, Limit: -1, Reset: l.seen}, false
	for i, b := range budgets {
		for _, other := range budgets[:i] {
			if other.Key == b.Key && !l.is("Take/DuplicateBudget") {
				return s, latchward.Invalid("budgets", "twice")
			}
		}
		for j, limit := range b.Limits {
			if (cost < 1 || cost > limit.N) && !l.is("Take/CostOutOfRange") {
				return s, latchward.Invalid("cost", "out of range")
			}
			if refusal := l.state(budgets, i, j, cost); !refusal.Admitted && (!found || refusal.Reset > s.Reset) {
				s, found = refusal, true
			}
		}
	}
	for i, b := range budgets {
		flights := int64(0)
		for _, booking := range l.bookings {
			if booking.key == b.Key && booking.inFlight {
				flights++
			}
		}
		if most := int64(b.MaxInFlight); most > 0 && flights >= most && !found && !l.is("Take/InFlightCap") {
			found = true
			s = latchward.LimitState{
				InFlight: true, Budget: i, Limit: -1, N: most, Used: flights, Current: flights + 1, Reset: l.seen,
			}
		}
	}
	return s, nil
}

// admitted describes an admitted call.
func (l *referenceLimiter) admitted(s latchward.LimitState, budgets []latchward.Budget) latchward.LimitState {
	found := false
	for i, b := range budgets {
		for j := range b.Limits {
			if other := l.state(budgets, i, j, 0); !found || other.Remaining < s.Remaining && len(budgets[0].Limits) == 0 {
				s, found = other, true
			}
		}
	}
	s.Admitted = true
	return s
}

func (l *referenceLimiter) book(cost int64, budgets []latchward.Budget) latchward.Receipt {
	l.calls++
	for _, b := range budgets {
		l.bookings = append(l.bookings, referenceBooking{b.Key, l.seen, cost, l.calls, b.MaxInFlight > 0})
	}
	return latchward.Receipt{At: l.seen, Cost: cost, ID: l.calls}
}

func (l *referenceLimiter) Take(
	_ context.Context, now latchward.Instant, cost int64, budgets []latchward.Budget,
) (latchward.LimitState, latchward.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.decide(now, cost, budgets)
	if err != nil {
		return latchward.LimitState{}, latchward.Receipt{}, err
	}
	if !s.Admitted {
		switch {
		case l.is("Take/RefusalIsFree"):
			l.book(cost, budgets)
		case l.is("Take/AllOrNothing"):
			for i := range budgets {
				if alone, _ := l.decide(now, cost, budgets[i:i+1]); alone.Admitted {
					l.book(cost, budgets[i:i+1])
				}
			}
		}
		return s, latchward.Receipt{}, nil
	}
	r := l.book(cost, budgets)
	if s = l.admitted(s, budgets); l.is("Take/Concurrent") {
		s.Remaining -= s.Remaining % 2
	}
	return s, r, nil
}

func (l *referenceLimiter) Settle(
	_ context.Context, now latchward.Instant, r latchward.Receipt, budgets []latchward.Budget, actual int64,
) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look(now)
	inRange := actual >= 0 && actual <= r.Cost || l.is("Settle/OnlyLowers")
	first := r.ID != 0 && !l.settled[r.ID]
	for i := range l.bookings {
		if b := &l.bookings[i]; b.id == r.ID {
			b.inFlight = b.inFlight && l.is("Settle/FreesSlot")
			switch {
			case first && inRange && !l.is("Settle/ReturnsUnused"):
				b.cost = actual
			case !first && inRange && l.is("Settle/Once"):
				b.cost -= r.Cost - actual
			}
		}
	}
	if l.is("Settle/AfterWindow") && first && r.At <= l.seen.Add(-time.Minute) {
		l.calls++
		l.bookings[len(l.bookings)-1].cost -= r.Cost - actual
	}
	if l.settled[r.ID] = true; !inRange {
		return latchward.Invalid("actual", "out of range")
	}
	return nil
}

func (l *referenceLimiter) Peek(
	ctx context.Context, now latchward.Instant, cost int64, budgets []latchward.Budget,
) (latchward.LimitState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.decide(now, cost, budgets)
	if err == nil && (s.Admitted || l.is("Peek/AnswersLikeTake")) {
		if l.is("Peek/BooksNothing") {
			l.book(cost, budgets)
		}
		s = l.admitted(s, budgets)
	}
	return s, err
}

func (l *referenceLimiter) States(
	_ context.Context, now latchward.Instant, cost int64, budgets []latchward.Budget, dst []latchward.LimitState,
) ([]latchward.LimitState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.decide(now, cost, budgets); err != nil {
		return dst, err
	}
	for i, b := range budgets {
		for j := range b.Limits {
			dst = append(dst, l.state(budgets, i, j, cost))
		}
	}
	if l.is("States/ListsAll") {
		dst = dst[:len(dst)-1]
	}
	return dst, nil
}

// Sweep forgets nothing, or everything.
func (l *referenceLimiter) Sweep(latchward.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is("Take/IdleChangesNothing") {
		l.bookings = nil
	}
}
