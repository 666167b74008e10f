package latchtest

import (
	"time"

	"github.com/latchward/latchward"
)

// What can be learnt without a call.
func limiterReadPromises() []limiterPromise {
	return []limiterPromise{
		{"Peek/AnswersLikeTake", peekAnswersLikeTake},
		{"Peek/BooksNothing", peekBooksNothing},
		{"States/ListsAll", statesListsAll},
	}
}

func (t *limiterTrial) peek(cost int64, budgets ...latchward.Budget) latchward.LimitState {
	t.Helper()
	s, err := t.limiter.Peek(t.Context(), t.now, cost, budgets)
	if err != nil {
		t.Fatalf("Peek of %d: %v", cost, err)
	}
	return s
}

func peekAnswersLikeTake(t *limiterTrial) {
	token, group, busy := perMinute(1, 3), threeLimits(5), inFlight(1, 9)
	budgets := []latchward.Budget{token, group, busy}
	for i := range 60 {
		t.pass(7 * time.Second)
		cost := int64(1 + i%3)
		peeked := t.peek(cost, budgets...)
		taken, _ := t.call(cost, budgets...)
		if peeked.Admitted != taken.Admitted || !taken.Admitted && peeked != taken {
			t.Fatalf("Peek of %d: %+v, Take: %+v", cost, peeked, taken)
		}
		if peeked.Admitted && peeked.Remaining != taken.Remaining+cost {
			t.Fatalf("Peek says %d remain, Take of %d leaves %d", peeked.Remaining, cost, taken.Remaining)
		}
	}
	t.restart()
	t.state("nothing used", t.peek(1, token), latchward.LimitState{Admitted: true, N: 3, Remaining: 3, Reset: t.now})
	_, err := t.limiter.Peek(t.Context(), t.now, 4, budgets)
	t.invalid("Peek", err, "cost")
	_, err = t.limiter.Peek(t.Context(), t.now, 1, []latchward.Budget{token, token})
	t.invalid("Peek", err, "budgets")
}

func peekBooksNothing(t *limiterTrial) {
	token, busy := perMinute(1, 10), inFlight(1, 1)
	for range 20 {
		if s := t.peek(10, token, busy); !s.Admitted || s.Used != 0 {
			t.Fatalf("after nothing but Peek: %+v", s)
		}
	}
	t.admit(10, token, busy)
	t.peek(1, token, busy)
	t.pass(time.Minute)
	t.holds(10, token)
}

func statesListsAll(t *limiterTrial) {
	token, group, busy := perMinute(1, 8), threeLimits(5), inFlight(1, 1)
	budgets := []latchward.Budget{token, busy, group}
	t.admit(4, group)
	t.pass(time.Second)
	t.admit(1, budgets...)
	first := latchward.LimitState{N: 77}
	for range 3 { // and books nothing
		states, err := t.limiter.States(t.Context(), t.now, 3, budgets, []latchward.LimitState{first})
		if err != nil || len(states) != 5 {
			t.Fatalf("States of one and three limits, appended to one state: %+v, %v", states, err)
		}
		reset := t.now.Add(-time.Second)
		for i, want := range []latchward.LimitState{
			first,
			{Admitted: true, Budget: 0, Limit: 0, N: 8, Used: 1, Current: 1, Remaining: 7, Reset: t.now.Add(time.Minute)},
			{Budget: 2, Limit: 0, N: 5, Used: 5, Current: 8, Reset: reset.Add(time.Minute)},
			{Admitted: true, Budget: 2, Limit: 1, N: 10, Used: 5, Current: 5, Remaining: 5, Reset: reset.Add(time.Hour)},
			{Admitted: true, Budget: 2, Limit: 2, N: 15, Used: 5, Current: 5, Remaining: 10, Reset: reset.Add(24 * time.Hour)},
		} {
			t.state("a limit", states[i], want)
		}
	}
}
